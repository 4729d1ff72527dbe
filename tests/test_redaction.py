"""Secrets are found in texts, under keys and from the environment; everything else stays."""

from __future__ import annotations

import copy
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_runtime import TrackingWarning, run_dspy_rlm
from rlm_runtime.logging.events import COMMON, EVENTS
from rlm_runtime.redaction import MARKER, Redaction, redact_secrets, without_login
from rlm_runtime.redaction.events import WITHHELD
from rlm_runtime.redaction.hints import may_match
from rlm_runtime.redaction.names import environment_secrets, names_secret
from rlm_runtime.redaction.texts import _RULES
from tests.support.collect import Collected
from tests.support.events import Stream, rlm_run, validate
from tests.support.planted import ENVIRONMENT, PLANTED, body, found_in
from tests.support.vocabularies import VERSIONS, VocabularyUnavailable, fetch_vocabulary

ROOT = Path(__file__).parent.parent

# How a text is met: as it is, inside of other text, quoted, escaped, escaped twice.
FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in lines": "one line\n{}\nand one more".format,
    "in brackets": "({}), [{}]".replace("{}", "{0}").format,
    "after an accent": "é… {} …é".format,
    "beside half a character": "\udc00 {} \udc01".format,
    "repr": repr,
    "repr of a list": lambda text: repr([text, {"key": f"a\n{text}"}]),
    "json": lambda text: json.dumps({"text": f"a\n{text}"}),
    "json twice": lambda text: json.dumps(json.dumps([text])),
    "csv": lambda text: '"' + text.replace('"', '""') + '",x',
}


@pytest.mark.parametrize("form", FORMS)
def test_every_planted_secret_is_found(form: str) -> None:
    for name, plant in PLANTED.items():
        shown = redact_secrets(FORMS[form](plant.text))
        assert plant.secret not in shown, name
        assert MARKER in shown, name


def test_there_are_enough_planted_secrets() -> None:
    assert len({plant.secret for plant in PLANTED.values()}) >= 30


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw@host/x?a=1&token=abc&b=2#c", f"https://{MARKER}@host/x?a=1&token={MARKER}&b=2#c"),
        ("db=postgres://u:p%40ss@h:5432/d.", f"db=postgres://{MARKER}@h:5432/d."),
        ("mysql://u:with/slash@h/d", f"mysql://{MARKER}@h/d"),
        ('password="correct horse", user="me"', f'password="{MARKER}", user="me"'),
        ("Pwd=swordfish;Server=x", f"Pwd={MARKER};Server=x"),
        ("--api-key=abc123def4 -v", f"--api-key={MARKER} -v"),
        ('os.environ["MY_TOKEN"] = "abc12345"', f'os.environ["MY_TOKEN"] = "{MARKER}"'),
        ('password: str = "swordfish"', f'password: str = "{MARKER}"'),
        ("Cookie: a=1; b=2\nAccept: */*", f"Cookie: {MARKER}\nAccept: */*"),
        ("token abc, Bearer abcdefgh1234.", f"token abc, Bearer {MARKER}"),
    ],
)  # fmt: skip
def test_only_the_secret_is_replaced(text: str, shown: str) -> None:
    assert redact_secrets(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "<http://www.w3.org/ns/prov#Activity> a owl:Class ; rdfs:label 'Activity'@en .",
        "SELECT ?token ?secret WHERE { ?token ex:password ?secret FILTER(?token = ex:a) }",
        "SELECT ?x { ?x schema:accessCode ?key } LIMIT 10  # token: one word",
        "max_tokens=1000, total_tokens: 512, primary_key=id_00017, tokenizer = 'o200k_base'",
        "for token in tokens: counts[token] = counts.get(token, 0) + 1",
        'if token == "activity": password = getpass("password: ")',
        'login(user, password=password, api_key=os.environ["OPENAI_API_KEY"], token=None)',
        'headers = {"Authorization": f"Bearer {token}"}; url = f"https://{user}:{pw}@{host}"',
        "curl -H 'Authorization: Bearer $TOKEN' https://example.org/?api_key=...",
        "The secret is that a token is a unit of text; authorization: see RFC 7235.",
        "Basic understanding of bearer authentication; the cookie: a small cake.",
        "git@github.com:a/b.git, ssh://git@github.com/a/b.git, me@example.org",
        "http://localhost:8080/@me, https://example.org/users/me@example.org?sort=key",
        "docker run -u 1000:1000 x; sk-learn-pipelines-with-words; risk-0123456789abcdef",
        '"output_cost_per_token": 1.25e-06, "token": "Activity", secret: true, "token": null',
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----",
        "def f(password: str, token: str | None = None) -> None: self.token = token",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact_secrets(text) is text


def test_vocabularies_stay() -> None:
    texts = [(ROOT / "ontology" / "prov.ttl").read_text()]
    for name in VERSIONS:
        try:
            texts.append(fetch_vocabulary(name).read_text())
        except VocabularyUnavailable:
            continue
    for text in texts:
        assert redact_secrets(text) is text


def test_prose_and_code_stay() -> None:
    pages = (ROOT / "docs" / name for name in ("design", "tutorial"))
    sources = (ROOT / "rlm_runtime" / name for name in ("ontology", "tools"))
    for folder in (*pages, *sources):
        for file in folder.iterdir():
            if file.suffix in (".md", ".py"):
                # Where a page or an example shows a login, it has to go.
                text = file.read_text().replace("me:pw@", "")
                assert redact_secrets(text) is text, file


def test_a_run_without_secrets_is_recorded_as_it_was() -> None:
    recorded = [Collected(), Collected()]
    for seen, redact in zip(recorded, (redact_secrets, None), strict=True):
        run_dspy_rlm(
            "What is Activity?",
            ROOT / "ontology" / "prov.ttl",
            model="offline",
            run_id="r",
            sinks=[seen],
            redact=redact,
        )
    told, bare = (json.dumps([_timeless(e) for e in seen.events]) for seen in recorded)
    assert told == bare


def _timeless(event: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in event.items()
        if key not in ("ts", "span_id", "parent_id", "duration_ns", "metrics")
    }


# Pieces that make up secrets and what resembles them.
_PIECES = st.sampled_from(
    [
        *(plant.text for plant in PLANTED.values()),
        *("password", "token", "secret", "api_key", "TOKEN_KEY", "Authorization", "cookie"),
        *("auth", "=", ": ", " = ", '": "', "'", '"', '\\"', "`", " ", "\n", "\\n", "--"),
        *("://", "@", "/", "?", "&", "#", ";", "me:pw", "host", "1", "abc123def456", "Bearer "),
        *("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", MARKER),
        *("[", "{", "$x", ".", "é", " is ", " -u "),
    ]
)  # fmt: skip
_TEXTS = st.lists(_PIECES | st.text(max_size=5), max_size=12).map("".join)


@settings(deadline=None, max_examples=300)
@given(_TEXTS)
def test_what_was_redacted_once_stays_as_it_is(text: str) -> None:
    once = redact_secrets(text)
    assert redact_secrets(once) == once


@settings(deadline=None, max_examples=300)
@given(_TEXTS)
def test_the_quick_look_overlooks_nothing(text: str) -> None:
    for rule in _RULES:
        if rule.apply(text) != text:
            assert may_match(rule.hint, text), rule.hint


_HOSTILE = [
    *("a", "-", "é", "\n", '"', "a-", "a.", "://", "://a:", "://a@", "://a:b/c", "&a-", "?token="),
    *("-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY----- a ", "eyJ", "sk-"),
    *("password=", 'password="', "password: ", "password:a", 'password="\\', "password=a(", "--a-"),
    *("secret: a1://", "token ", "bearer a", "basic a", "authorization: digest ", "cookie: a="),
]


@pytest.mark.parametrize("piece", _HOSTILE)
def test_no_text_makes_it_slow(piece: str) -> None:
    # What follows has every rule look at the text.
    text = piece * (300_000 // len(piece)) + "".join(f"\n{p.text}" for p in PLANTED.values())
    started = time.monotonic()
    redact_secrets(text)
    assert time.monotonic() - started < 20


def test_an_address_loses_its_login_only() -> None:
    assert (
        without_login("postgresql+psycopg2://me:p@ss@h:1/d?x=1")
        == "postgresql+psycopg2://h:1/d?x=1"
    )
    assert without_login("https://token@host") == "https://host"
    for address in ("sqlite:///a@b.db", "http://host:5000/@me", "/a/folder", "databricks"):
        assert without_login(address) == address


# Keys


@pytest.mark.parametrize(
    "name",
    [
        *("password", "db_password", "dbPassword", "PASSWORD", "passwd", "passphrase", "secret"),
        *("client_secret", "clientSecret", "token", "access_token", "x-auth-token", "credentials"),
        *("authorization", "Proxy-Authorization", "cookie", "Set-Cookie", "api_key", "apiKey"),
        *("apikey", "OPENAI_API_KEY", "aws_access_key_id", "private key", "auth", "authToken"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("key", "keys", "author", "authority", "tokens", "max_tokens", "tokenizer", "secretary"),
        *("primary_key", "cache_key", "token_count", "total_tokens", "cost_per_token", "keyword"),
        *("token_type", "secret_name", "monkey", "compass", "http://www.w3.org/ns/prov#key", ""),
    ],
)
def test_names_of_no_secrets(name: str) -> None:
    assert not names_secret(name)


# The environment


def test_secrets_of_the_environment_are_known_in_every_form(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.touch()
    known = environment_secrets(
        {
            **ENVIRONMENT,
            "SSH_AUTH_SOCK": "/tmp/ssh-x/agent.1",
            "GITHUB_TOKEN_FILE": "/run/secrets/github",
            "GOOGLE_APPLICATION_CREDENTIALS": str(file),
            "TOKENIZERS_PARALLELISM": "false-or-true",
            "SHORT_TOKEN": "12345",
            "HOME": "/home/somebody",
            "BROKEN_URL": "http://[::1:x@y",
        }
    )
    assert set(known) == {
        *("correct horse/battery+staple", "correct%20horse%2Fbattery%2Bstaple"),
        "correct+horse%2Fbattery%2Bstaple",
        *('with "quotes" and \\ in it', 'with \\"quotes\\" and \\\\ in it'),
        *("with%20%22quotes%22%20and%20%5C%20in%20it", "with+%22quotes%22+and+%5C+in+it"),
        *(body("pat"), body("database")),
    }
    assert [len(one) for one in known] == sorted(map(len, known), reverse=True)


@settings(deadline=None, max_examples=100)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=6), st.text())
def test_no_text_shows_a_secret_of_the_environment(secret: str, around: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PLANTED_TOKEN", secret)
        (known, *_) = environment_secrets({"PLANTED_TOKEN": secret}) or ("",)
        shown = Redaction(str).text(f"{around}{secret}{around}")
    if known and secret not in MARKER:
        assert secret not in shown.replace(MARKER, "")


# Events


def test_keys_hide_what_they_hold_whatever_its_form() -> None:
    given_value = {
        "password": "x",
        "token": 12345678,
        "credentials": {"user": "me", "roles": ["a", 7]},
        "secret": None,
        "cookie": "",
        "auth": True,
        "headers": {"Accept": "*/*", "X": ["b"]},
        "rows": [{"api_key": "k", "label": "Key"}],
        "config": {"my_key": "k", "author": "me", "max_completion_tokens": 9},
        "default_headers": [["X-Team", "b"], ["Accept", "c"]],
        "logprobs": [{"token": "Act", "logprob": -0.5, "top": [{"token": "A", "logprob": -1}]}],
    }  # fmt: skip
    before = copy.deepcopy(given_value)
    assert Redaction().value(given_value) == {
        "password": MARKER,
        "token": MARKER,
        "credentials": {"user": MARKER, "roles": [MARKER, MARKER]},
        "secret": None,
        "cookie": "",
        "auth": True,
        "headers": {"Accept": MARKER, "X": [MARKER]},
        "rows": [{"api_key": MARKER, "label": "Key"}],
        "config": {"my_key": MARKER, "author": MARKER, "max_completion_tokens": 9},
        "default_headers": [["X-Team", MARKER], ["Accept", MARKER]],
        "logprobs": before["logprobs"],
    }
    assert given_value == before


def test_keys_themselves_are_texts_and_none_is_lost() -> None:
    keys = [PLANTED["github"].secret, PLANTED["gitlab"].secret, MARKER]
    shown = Redaction().value({key: number for number, key in enumerate(keys)})
    assert sorted(shown.values()) == [0, 1, 2]
    assert not found_in(str(shown))
    assert Redaction(str.upper).value({"answer": 1, "a b": 2}) == {"answer": 1, "A B": 2}


def test_an_event_keeps_its_structure_whatever_the_function_does() -> None:
    stream = Stream(params={"n": 1}, tags={"team": "a"})
    stream.add("budget", None, stream.root, kind="timeout", limit=1.0, used=2.0)
    stream.end(stream.root, status="FAILED", metrics={"token": 1}, usage={"m": {"calls": 1}})
    for event in [*rlm_run(), *stream.events]:
        before = copy.deepcopy(event)
        shown = Redaction(lambda text: "×")(event)
        assert event == before
        validate(shown)
        assert shown.keys() == event.keys()
        for name in (*COMMON, "status", "role", "metrics", "usage", "duration_ns", "truncated"):
            assert shown.get(name) == event.get(name)


def test_no_field_of_text_is_left_out() -> None:
    redaction = Redaction(lambda text: "×")
    untouched = {
        name
        for event in EVENTS.values()
        for name in event
        if redaction({"event": "x", name: "text"})[name] == "text"
    }
    assert untouched == {
        *("status", "stop_reason", "converged", "metrics", "usage", "duration_ns", "versions"),
        *("role", "cost_usd", "cache_hit", "operation", "kind", "limit", "used"),
    }


def test_a_function_of_the_users_gets_every_text_without_what_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", "correct horse")
    given_texts = []

    def rule(text: str) -> str:
        given_texts.append(text)
        return text.replace("Ann", "somebody")

    event = Stream().add(
        "warning", None, None, category="Ann", message="correct horse, said Ann, password=hunter2"
    )
    shown = Redaction(rule)(event)
    assert (shown["category"], shown["message"]) == (
        "somebody",
        f"{MARKER}, said somebody, password=hunter2",
    )
    assert given_texts == ["Ann", f"{MARKER}, said Ann, password=hunter2"]


@pytest.mark.parametrize("rule", [lambda text: 1 / 0, lambda text: None, str.encode])
def test_what_a_failing_function_was_given_is_withheld(rule: Any, swallowing: None) -> None:
    seen = Collected()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        result = run_dspy_rlm(
            "What is Activity, Ann?",
            ROOT / "ontology" / "prov.ttl",
            model="offline",
            sinks=[seen],
            redact=rule,
        )
    assert result.converged
    (warning,) = [one for one in told if issubclass(one.category, TrackingWarning)]
    assert "redact=" in str(warning.message)
    assert "Ann" not in f"{warning.message} {seen.events}"
    assert WITHHELD in str(seen.events)
    for event in seen.events:
        validate(event)


def test_a_secret_of_any_length_is_found():
    long = "".join(f"{i:x}" for i in range(8000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TLS_KEY", long)
        redaction = Redaction()
    assert redaction.text(f"a {long} b") == "a [redacted] b"


def test_fields_of_events_are_never_renamed(monkeypatch):
    monkeypatch.setenv("MY_SECRET", "message")
    event = {"event": "x_end", "error": {"type": "E", "message": "a message", "traceback": ""}}
    assert Redaction()(event)["error"] == {
        "type": "E",
        "message": "a [redacted]",
        "traceback": "",
    }
