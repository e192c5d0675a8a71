"""What `make walk` takes off docs/operations.md can be taken; whether it leads anywhere is the walk's to show."""

import subprocess
from pathlib import Path

from palette.environment import VARIABLES
from palette.tests.walk import page


def test_the_environment_is_read_alike_by_systemd_and_by_the_shell(tmp_path: Path) -> None:
    text = page.filled_in(page.blocks()["environment"], dict.fromkeys(page.FILLED_IN, "given"))
    (tmp_path / "env").write_text(text)

    said = subprocess.run(
        ["bash", "-euc", "set -a; . ./env; env -0"], cwd=tmp_path, capture_output=True, text=True, env={}
    )

    assert said.stderr == ""
    shell = dict(pair.partition("=")[::2] for pair in said.stdout.split("\0"))
    systemd = page.as_systemd_reads(text)
    assert set(systemd) <= set(VARIABLES)
    assert {name: shell.get(name) for name in systemd} == systemd
    assert systemd["DEFAULT_FROM_EMAIL"] == "Studio <studio@example.com>"
