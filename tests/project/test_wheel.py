"""A wheel built from the checkout holds every module, and each one imports."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("core", "connect", "streams", "dsl", "cli")


@pytest.mark.slow
def test_every_module_is_in_the_wheel_and_can_be_imported(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    wheel = next(tmp_path.glob("*.whl"))
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    modules = sorted(
        "millstream." + path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py"
    )
    assert len(modules) > 100

    code = "import importlib, sys; list(map(importlib.import_module, sys.argv[1:]))"
    code += "; print(sys.modules['millstream'].__file__)"
    result = subprocess.run(
        [sys.executable, "-c", code, *modules],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(unpacked)},
    )

    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.strip() == str(unpacked / "millstream" / "__init__.py")
