"""Builds the package; what is made from the API's files is made here."""

import pathlib
import shutil
import subprocess

from setuptools import setup
from setuptools.command.build_py import build_py

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
FILES = ["google/rpc/error_details.proto", "userprofile/v1/user_profile_service.proto"]


class BuildWithApi(build_py):
    """Compiles the API into userprofile/api.pb, by protoc."""

    def run(self):
        super().run()
        protoc = shutil.which("protoc")
        if protoc is None:
            raise SystemExit("protoc is missing: apt-get install protobuf-compiler")
        made = pathlib.Path(self.build_lib).resolve() / "userprofile" / "api.pb"
        subprocess.run(
            [protoc, "--include_imports", f"--descriptor_set_out={made}", *FILES],
            cwd=PROTO,
            check=True,
        )


setup(cmdclass={"build_py": BuildWithApi})
