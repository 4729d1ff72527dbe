"""The deployment files: by their schemas, by what no schema sees, and by a server run from them."""

from __future__ import annotations

import ast
import base64
import importlib.resources
import json
import re
import secrets
import shlex
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import mlflow
import mlflow.cli
import pytest
import yaml

from tests.support.mlflow_server import free_port_number, start_server, stop_server
from tests.support.postgres import Postgres
from tests.support.snippets import blocks_of

DEPLOY = Path(__file__).parent.parent / "deploy"
COMPOSE = DEPLOY / "docker-compose.mlflow.yml"
KUBERNETES = DEPLOY / "kubernetes"
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())


def settings() -> dict[str, str]:
    """What the example of a settings file holds, with the lines that are commented out."""
    lines = (DEPLOY / ".env.mlflow.example").read_text().splitlines()
    found = [re.fullmatch(r"#?([A-Z]\w*)=(.*)", line) for line in lines]
    return {line[1]: line[2] for line in found if line}


def manifests() -> dict[str, dict[str, Any]]:
    return {path.name: yaml.safe_load(path.read_text()) for path in KUBERNETES.glob("*.yaml")}


def pod() -> dict[str, Any]:
    return manifests()["deployment.yaml"]["spec"]["template"]["spec"]


# By their schemas


def test_the_compose_file_follows_the_specification() -> None:
    vendored = importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor"
    schema = json.loads((vendored / "compose-spec.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(compose())
    broken = compose()
    broken["services"]["mlflow"]["healthchek"] = broken["services"]["mlflow"].pop("healthcheck")
    assert not validator.is_valid(broken)


@pytest.mark.parametrize(
    "name", sorted(path.name for path in KUBERNETES.glob("*") if path.name != "kustomization.yaml")
)
def test_a_manifest_follows_the_schema_of_kubernetes(name: str) -> None:
    version = kubernetes_validate.latest_version()
    kubernetes_validate.validate(manifests()[name], version, strict=True)


def test_the_schema_of_kubernetes_sees_a_misspelt_field() -> None:
    broken = manifests()["deployment.yaml"]
    broken["spec"]["replica"] = broken["spec"].pop("replicas")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, kubernetes_validate.latest_version(), strict=True)


# What no schema sees: compose


def test_nothing_is_published_beyond_loopback() -> None:
    ports = [port for one in compose()["services"].values() for port in one.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    stores = [one for name, one in compose()["services"].items() if name in ("postgres", "s3")]
    assert [one["networks"] for one in stores] == [["stores"], ["stores"]]
    assert compose()["networks"]["stores"] == {"internal": True}


def test_each_secret_must_be_given_and_none_has_a_value() -> None:
    used = VARIABLE.findall(COMPOSE.read_text())
    required = {name: message for name, kind, message in used if kind == "?"}
    with_default = {name for name, kind, _ in used if kind == "-"}
    assert required
    assert not required.keys() & with_default
    assert all(message.startswith(f"Set {name},") for name, message in required.items())
    secret = re.compile(r"PASSWORD|SECRET|_KEY")
    assert {name for name, _, _ in used if secret.search(name)} <= required.keys()
    assert all(settings()[name] == "" for name in required)
    for name, service in compose()["services"].items():
        for variable, value in service.get("environment", {}).items():
            if secret.search(variable):
                assert VARIABLE.fullmatch(value), f"{name}: {variable}"


def test_the_example_of_settings_has_what_the_compose_file_uses() -> None:
    used = VARIABLE.findall(COMPOSE.read_text())
    assert settings().keys() == {name for name, _, _ in used}
    defaults = {name: default for name, kind, default in used if kind == "-"}
    assert {name: settings()[name] for name in defaults} == defaults


def test_images_are_pinned_and_that_of_mlflow_is_of_the_version_of_the_tests() -> None:
    images = {one["image"] for one in compose()["services"].values()}
    assert all(re.search(r":v?\d+\.\d+[\w.\-]*$", image) for image in images), images
    (of_mlflow,) = (image for image in images if "mlflow" in image)
    name, _, tag = of_mlflow.rpartition(":")
    tested = mlflow.__version__.split(".")
    assert re.fullmatch(rf"v{tested[0]}\.{tested[1]}\.\d+-full", tag)
    assert manifests()["kustomization.yaml"]["images"] == [{"name": name, "newTag": tag}]
    pods = [*pod()["containers"], *pod()["initContainers"]]
    assert {one["image"] for one in pods} == {name}


def test_services_wait_for_the_health_of_what_they_need() -> None:
    services = compose()["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            if "healthcheck" in services[needed]:
                assert how["condition"] == "service_healthy", f"{name} needs {needed}"
            else:
                assert how["condition"] == "service_completed_successfully"
    lasting = {name for name, one in services.items() if "restart" in one}
    assert lasting == {name for name, one in services.items() if "healthcheck" in one}
    code = services["mlflow"]["healthcheck"]["test"][-1]
    assert "/health" in code
    ast.parse(code)


def test_what_is_kept_is_in_named_volumes() -> None:
    document = compose()
    mounts = [m for one in document["services"].values() for m in one.get("volumes", [])]
    named = {mount.partition(":")[0] for mount in mounts if not mount.startswith("./")}
    assert named == document["volumes"].keys()
    assert all(mount.endswith(":ro") for mount in mounts if mount.startswith("./"))
    assert all((DEPLOY / m.split(":")[0]).exists() for m in mounts if m.startswith("./"))


def test_mlflow_runs_without_privileges() -> None:
    for name in ("mlflow", "bucket"):
        service = compose()["services"][name]
        assert service["user"] == "10001:10001"
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


# What no schema sees: Kubernetes


def test_kustomize_names_the_files_that_are_there() -> None:
    named = {*manifests()["kustomization.yaml"]["resources"]}
    assert named == {*manifests()} - {"kustomization.yaml", "secret.example.yaml"}


def test_each_reference_to_the_secret_names_a_key_of_the_example() -> None:
    secret = manifests()["secret.example.yaml"]
    given = secret["stringData"]
    containers = [*pod()["containers"], *pod()["initContainers"]]
    references = [
        variable["valueFrom"]["secretKeyRef"]
        for container in containers
        for variable in container["env"]
        if "valueFrom" in variable
    ]
    volumes = [one["secret"] for one in pod()["volumes"] if "secret" in one]
    keys = {one["key"] for one in references} | {i["key"] for v in volumes for i in v["items"]}
    names = {one["name"] for one in references} | {one["secretName"] for one in volumes}
    assert names == {secret["metadata"]["name"]}
    assert keys == given.keys()
    filled = {key: value for key, value in given.items() if value}
    assert filled.keys() == {"MLFLOW_AUTH_ADMIN_USERNAME", "basic_auth.ini"}
    assert given["basic_auth.ini"].endswith("database_uri =\n")


def test_the_pod_is_confined_and_not_confused_by_its_own_service() -> None:
    # A service named mlflow would otherwise set MLFLOW_PORT, which MLflow reads.
    assert pod()["enableServiceLinks"] is False
    assert pod()["automountServiceAccountToken"] is False
    assert pod()["securityContext"]["runAsNonRoot"]
    for container in [*pod()["containers"], *pod()["initContainers"]]:
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    (server,) = pod()["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert server[probe]["httpGet"] == {"path": "/health", "port": "http"}


def test_service_and_pod_find_each_other() -> None:
    labels = manifests()["deployment.yaml"]["spec"]["template"]["metadata"]["labels"]
    service = manifests()["service.yaml"]["spec"]
    assert service["selector"].items() <= labels.items()
    assert service["type"] == "ClusterIP"
    ports = [port["name"] for one in pod()["containers"] for port in one["ports"]]
    assert [port["targetPort"] for port in service["ports"]] == ports


# By the programs that they start


@pytest.mark.parametrize(
    "command",
    [compose()["services"]["mlflow"]["command"], pod()["containers"][0]["command"]],
    ids=["compose", "kubernetes"],
)
def test_mlflow_accepts_its_command_line(command: list[str]) -> None:
    assert command[:2] == ["mlflow", "server"]
    context = mlflow.cli.server.make_context("server", command[2:])
    assert context.params["app_name"] == "basic-auth"
    assert context.params["serve_artifacts"] is True


def test_mlflow_accepts_the_command_line_of_the_migration() -> None:
    command = pod()["initContainers"][0]["command"]
    assert command[:3] == ["mlflow", "db", "upgrade"]
    upgrade = mlflow.cli.cli.commands["db"].commands["upgrade"]
    assert upgrade.make_context("upgrade", command[3:]).params["url"] == command[3]


def shown_commands() -> list[list[str]]:
    page = DEPLOY.parent / "docs/how-to/mlflow-server.md"
    text = "".join(block.text for block in blocks_of(page.read_text()) if block.kind == "text")
    lines = text.replace("\\\n", " ").replace("…", "x").splitlines()
    return [shlex.split(line, comments=True) for line in lines if re.match(r"[a-z]", line)]


def test_commands_in_the_page_name_what_there_is() -> None:
    paths = [Path(word) for line in shown_commands() for word in line if "deploy/" in word]
    assert paths
    made = {DEPLOY / ".env.mlflow"}
    for path in paths:
        for one in re.findall(r"deploy/[\w./-]+", str(path)):
            assert (DEPLOY.parent / one).exists() or DEPLOY.parent / one in made, one
    names = {one.get("name") for one in manifests().values()} | {*compose()["services"]}
    images = {one["image"] for one in compose()["services"].values()}
    volumes = {f"{compose()['name']}_{name}" for name in compose()["volumes"]}
    for line in shown_commands():
        if line[0] == "mlflow-compose" and line[1] in ("stop", "exec"):
            assert next(word for word in line[2:] if not word.startswith("-")) in names
        if line[:2] == ["docker", "run"]:
            assert images & {*line}
            assert any(word.partition(":")[0] in volumes for word in line)


def test_mlflow_accepts_the_commands_in_the_page() -> None:
    servers = [line[2:] for line in shown_commands() if line[:2] == ["mlflow", "server"]]
    assert len(servers) == 2
    for arguments in servers:
        mlflow.cli.server.make_context("server", arguments)


@pytest.fixture(scope="module")
def deployed(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Run the server as the compose file would; give its address and the login's header."""
    folder = tmp_path_factory.mktemp("deployed")
    given = {name: secrets.token_hex(24) for name, value in settings().items() if value == ""}
    given |= {
        "MLFLOW_ALLOWED_HOSTS": "mlflow.example.org,127.0.0.1:*",
        "MLFLOW_ALLOWED_ORIGINS": "https://mlflow.example.org",
    }

    def filled(text: str) -> str:
        return VARIABLE.sub(lambda found: given.get(found[1], found[3]), text)

    def native(uri: str) -> str:
        wanted = f"mlflow:{given['POSTGRES_PASSWORD']}@postgres:5432/mlflow"
        assert wanted in uri
        return uri.replace(f"postgresql+psycopg://{wanted}", database)

    database = postgres.new_database().replace("postgresql://", "postgresql+psycopg://")
    document = compose()
    service = document["services"]["mlflow"]
    env = {name: filled(value) for name, value in service["environment"].items()}
    env["MLFLOW_BACKEND_STORE_URI"] = native(env["MLFLOW_BACKEND_STORE_URI"])
    env["HOME"] = str(folder)
    config = folder / "basic_auth.ini"
    config.write_text(native(filled(document["configs"]["basic-auth"]["content"])))
    env["MLFLOW_AUTH_CONFIG_PATH"] = str(config)
    own = ("--host=", "--port=", "--workers=", "--artifacts-destination=")
    options = tuple(one for one in service["command"][2:] if not one.startswith(own))
    server, address = start_server(
        folder,
        store=env["MLFLOW_BACKEND_STORE_URI"],
        port=free_port_number(),
        options=options,
        env=env,
    )
    login = f"{env['MLFLOW_AUTH_ADMIN_USERNAME']}:{env['MLFLOW_AUTH_ADMIN_PASSWORD']}"
    yield address, "Basic " + base64.b64encode(login.encode()).decode()
    stop_server(server)


def status_of(address: str, body: dict[str, Any] | None = None, **headers: str) -> int:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data=data)
    request.add_header("Content-Type", "application/json")
    for name, value in headers.items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def test_the_deployed_server_wants_a_login_but_not_for_its_health(
    deployed: tuple[str, str],
) -> None:
    address, login = deployed
    runs = f"{address}/api/2.0/mlflow/experiments/get?experiment_id=0"
    assert status_of(f"{address}/health") == 200
    assert status_of(runs) == 401
    assert status_of(runs, Authorization="Basic YWRtaW46d3Jvbmc=") == 401
    assert status_of(runs, Authorization=login) == 200


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("mlflow.example.org", "https://mlflow.example.org", 200),
        ("mlflow.example.org", "https://evil.example.org", 403),
        ("evil.example.org", "https://mlflow.example.org", 403),
    ],
)
def test_the_deployed_server_serves_its_own_pages_behind_a_proxy_and_no_others(
    deployed: tuple[str, str], host: str, origin: str, status: int
) -> None:
    address, login = deployed
    search = f"{address}/ajax-api/2.0/mlflow/experiments/search"
    headers = {"Host": host, "Origin": origin, "Authorization": login}
    assert status_of(search, {"max_results": 10}, **headers) == status
    assert status_of(f"{address}/health", Host=host) == 200
