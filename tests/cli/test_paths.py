"""`trioquic paths`."""

import json

import pytest

from tests.cli.run import invoke


def test_without_a_host_the_interfaces() -> None:
    result = invoke("paths")
    assert result.exit_code == 0
    (loopback,) = [line for line in result.stdout.splitlines() if " loopback " in line]
    assert "127.0.0.1/8" in loopback
    assert "Candidate" not in result.stdout


def test_the_pairs_to_a_host_with_their_reasons() -> None:
    result = invoke("paths", "127.0.0.1")
    assert result.exit_code == 0
    last = result.stdout.splitlines()[-1].split()
    assert last == ["1", "lo", "127.0.0.1", "127.0.0.1", "the", "only", "pair"]


def test_json() -> None:
    document = json.loads(invoke("paths", "127.0.0.1", "--json").stdout)
    (loopback,) = [i for i in document["interfaces"] if i["kind"] == "loopback"]
    assert loopback["up"] is True
    assert document["host"] == "127.0.0.1"
    assert document["addresses"] == ["127.0.0.1"]
    assert document["pairs"] == [
        {
            "interface": loopback["name"],
            "kind": "loopback",
            "metered": None,
            "local": "127.0.0.1",
            "remote": "127.0.0.1",
            "source_rank": 0,
            "reason": "the only pair",
        }
    ]
    assert set(json.loads(invoke("paths", "--json").stdout)) == {"interfaces"}


def test_nothing_leads_to_a_multicast_address() -> None:
    assert "No interface leads to 224.0.0.1." in invoke("paths", "224.0.0.1").stdout


def test_an_unknown_host() -> None:
    result = invoke("paths", "no such host")
    assert result.exit_code == 1
    assert result.stderr.startswith("trioquic: no such host: ")
    assert "Traceback" not in result.output


@pytest.mark.parametrize("option", ["--only-interface", "--prefer-interface", "--not-tunnel"])
def test_names_that_are_none(option: str) -> None:
    result = invoke("paths", "127.0.0.1", option, "")
    assert result.exit_code == 2
    assert f"'{option}': '' is no name" in result.stderr
    # one that may come, but is not there now
    for words in (["127.0.0.1"], ["127.0.0.1", "--json"], []):
        result = invoke("paths", *words, option, "eth99")
        assert result.exit_code == 0
        assert result.stderr == "trioquic: there is no interface 'eth99'\n"
