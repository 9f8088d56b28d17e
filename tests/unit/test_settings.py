"""One typed tree; unknown keys refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from anwang.kernel.errors import Invalid
from anwang.runtime import settings


def test_environment_wins_over_file_wins_over_default(tmp_path: Path) -> None:
    file = tmp_path / "anwang.toml"
    file.write_text('city = "安澜市"\n[http]\nport = 9000\nhost = "127.0.0.1"\n', "utf-8")
    found = settings.load(
        file, {"ANWANG_HTTP__PORT": "9001", "ANWANG_MEDIA__RTP_PORTS": "[40000, 40099]", "PATH": "/bin"}
    )
    assert (found.city, found.http.host, found.http.port, found.http.session_hours) == (
        "安澜市",
        "127.0.0.1",
        9001,
        12.0,
    )
    assert found.media.rtp_ports == (40000, 40099)
    sources = {row.name: row.source for row in settings.describe(file, {"ANWANG_HTTP__PORT": "9001"})}
    assert sources["http.port"] == "environment"
    assert sources["http.host"] == "file"
    assert sources["http.session_hours"] == "default"


def test_what_a_command_was_told_stands_where_it_says_more_than_file_and_environment(tmp_path: Path) -> None:
    """The page of settings of the simulated city once showed a port on which nobody listened."""
    file = tmp_path / "anwang.toml"
    file.write_text('city = "安澜市"\n[http]\nport = 9000\n', "utf-8")
    told = settings.load(file, {})
    running = msgspec.structs.replace(told, http=msgspec.structs.replace(told.http, port=8080))
    rows = {row.name: (row.value, row.source) for row in settings.describe(file, {}, running=running)}
    assert rows["http.port"] == (8080, "flag")
    assert rows["city"] == ("安澜市", "file")
    assert rows["http.session_hours"] == (12.0, "default")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[http]\nprot = 1\n", "prot"),
        ("[http]\nport = 70000\n", "port"),
        ("[gb28181]\nserver_id = '12'\n", "server_id"),
        ("x", "TOML"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "anwang.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(Invalid, match=word):
        settings.load(file, {})


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("ANWANG_GB28181__SERVER_ID", "34020000002000000001", "gb28181.server_id", "34020000002000000001"),
        ("ANWANG_GB28181__DOMAIN", "3402000000", "gb28181.domain", "3402000000"),
        ("ANWANG_CITY", "2024", "city", "2024"),
        ("ANWANG_CITY", "2024-01-01", "city", "2024-01-01"),
        ("ANWANG_CITY", "true", "city", "true"),
        ("ANWANG_CITY", '"安澜市"', "city", "安澜市"),
        ("ANWANG_CITY", "", "city", ""),
        ("ANWANG_LOGS__LEVEL", "DEBUG", "logs.level", "DEBUG"),
        ("ANWANG_HTTP__PORT", "9001", "http.port", 9001),
        ("ANWANG_HTTP__SESSION_HOURS", "8", "http.session_hours", 8.0),
        ("ANWANG_TLS__ENABLED", "false", "tls.enabled", False),
        ("ANWANG_HTTP__ORIGINS", '["https://a.example"]', "http.origins", ("https://a.example",)),
    ],
)
def test_text_of_the_environment_is_read_as_its_setting_is(variable: str, text: str, name: str, value: object) -> None:
    (found,) = [row for row in settings.describe(None, {variable: text}) if row.name == name]
    assert (found.value, found.source) == (value, "environment")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[media]\nrtp_ports = [40001, 40000]\n", "above the last"),
        ("[media]\nrtp_ports = [40001, 40099]\n", "even"),
        ("[media]\nrtp_ports = [40000, 40100]\n", "even"),
        ("[media]\nrtp_ports = [0, 99]\n", "even"),
        ("[media]\nrtp_ports = [40000, 70001]\n", "rtp_ports"),
        ("[media]\nrtp_ports = [40000, 40003]\nchildren = 3\n", "fewer pairs"),
        ("[media]\nrtp_ports = [5000, 5999]\n", "gb28181.port 5060"),
        ("[media]\nsilence_seconds = inf\n", "media.silence_seconds"),
        ("[media]\nsilence_seconds = nan\n", "silence_seconds"),
        ("[zones.a]\nnetworks = ['10.0.0.0/33']\n", "no network"),
        ("[zones.a]\nnetworks = ['10.0.0.0/8']\n[zones.b]\nnetworks = ['10.0.0.0/8']\n", "zones a and b"),
    ],
)
def test_values_that_do_not_fit_together_are_refused(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "anwang.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(Invalid, match=word):
        settings.load(file, {})


def test_an_unknown_variable_is_refused() -> None:
    with pytest.raises(Invalid, match="ANWANG_HTTP__PROT"):
        settings.load(None, {"ANWANG_HTTP__PROT": "1"})


def test_every_setting_says_what_it_is() -> None:
    silent = [row.name for row in settings.describe(None, {}) if not row.sentence]
    assert not silent


def test_the_names_that_zones_use_are_origins() -> None:
    made = msgspec.convert(
        {
            "http": {"origins": ["https://wall.example"], "port": 8443},
            "zones": {"police": {"http_host": "video.police.example"}, "out": {"http_host": "video.example:443"}},
        },
        settings.Settings,
    )
    assert made.origins() == {
        "https://wall.example",
        "https://video.police.example",
        "https://video.police.example:8443",
        "https://video.example",
    }
