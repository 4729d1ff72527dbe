"""Makes a bucket in the S3 store that MLflow is set up for, unless it is there.

Usage: ``python create_bucket.py NAME``. The store and the login are in the variables that
MLflow itself reads.
"""

from __future__ import annotations

import os
import sys

import boto3
from botocore.exceptions import ClientError


def create_bucket(name: str) -> None:
    """Make the bucket.

    Raises:
        ClientError: The store refuses, for another reason than that the bucket is there.
    """
    store = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
    try:
        store.create_bucket(Bucket=name)
    except ClientError as error:
        # Some stores answer so even to the owner.
        known = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")
        if error.response["Error"]["Code"] not in known:
            raise
    store.head_bucket(Bucket=name)
    print(f"Bucket {name} is there.")


if __name__ == "__main__":
    create_bucket(sys.argv[1])
