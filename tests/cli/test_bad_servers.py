"""What servers and users may get wrong ends one download with a documented code, and no other."""

import json
import random
import re
from pathlib import Path
from typing import cast

import pytest
import trio
import trio.testing
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.http3.world import AUTHORITY, Exchange
from tests.sim_server import (
    PORT,
    Credentials,
    ServerConnection,
    ServerOptions,
    SimServer,
    credentials,
    pattern,
    serve,
)
from tests.sim_world import World, simulated_world
from tests.tls import odd_certificates, pki
from trioquic._checks import without_password
from trioquic.cli import failures
from trioquic.cli.failures import FetchError, redirected, target_of
from trioquic.cli.transfer import Job
from trioquic.http3.url import Target

from .run import invoke, trioquic
from .test_downloads import SIZE, STRONG, Files, Memory, Shown, Web, fetch_jobs

Clock = trio.testing.MockClock
BASE = f"https://{AUTHORITY}:{PORT}/folder/page?query"
LOCATIONS = [
    b"https://[",
    b"//[::1",
    b"https://[::1",
    b"https://[::1]x/",
    b"https://[1.2.3.4]/",
    b"https://a:99999/",
    b"https://a:-1/",
    b"https://a:0/",
    b"https://a:http/",
    b"https://",
    b"https:///",
    b"https://:443/",
    b"https://a..b/",
    b"https://.a/",
    b"https://a b/",
    b"https://a%00b/",
    b"https://%5b/",
    b"https://256.256.256.256/",
    b"https://1.2.3/",
    b"https://" + b"a" * 64 + b".example/",
    b"https://" + b"a." * 200 + b"example/",
    b"https://xn--\xc3\xbc.example/",
    b"https://\xe2\x80\x8d.example/",
    b"https://\xff\xfe.example/",
    b"https://\xe2\x84\x80.example/",
    b"https://user:sesame@[/",
    b"https://user:sesame@a..b/",
    b"http://user:sesame@a/",
    b"http://elsewhere.example/",
    b"file:///etc/passwd",
    b"javascript:alert(1)",
    b"mailto:a@b",
    b"https://unknown.example/\xc2\x9b31mred",
    b"https://unknown.example:4433/",
]
HEADS: list[tuple[int, list[tuple[bytes, bytes]]]] = [
    *[(302, [(b"location", location)]) for location in LOCATIONS],
    (302, []),
    (204, [(b"content-length", b"nonsense")]),
    (206, [(b"content-range", b"bytes 0-1/2")]),
    (206, [(b"content-range", b"bytes " + b"9" * 5000 + b"-0/1")]),
    (416, [(b"content-range", b"bytes */0")]),
    (200, [(b"content-length", b"9" * 19)]),
    (200, [(b"content-length", b"1"), (b"content-length", b"2")]),
    (200, [(b"alt-svc", b'h3="[::1:443", h3="\x80:0", =;;'), (b"etag", b'"' + b"\xff" * 999)]),
    (503, [(b"retry-after", b"never")]),
    (999, [(b"content-length", b"0")]),
]


class Bad(Files):
    """Answers `/bad/N` with the N-th head, `/circle/N` with a redirect to the next."""

    def _answer(self, stream_id: int, exchange: Exchange) -> None:
        match exchange.headers[b":path"].decode().split("/")[1:]:
            case ["bad", number]:
                status, fields = HEADS[int(number)]
                self._head(stream_id, status, *fields, end=True)
            case ["circle", number]:
                where = b"%d" % (int(number) + 1)
                self._head(stream_id, 307, (b"location", where), end=True)
            case [""]:
                self._head(stream_id, 404, end=True)
            case ["part"]:
                self._send_part(stream_id, exchange)
            case _:
                super()._answer(stream_id, exchange)

    def _send_part(self, stream_id: int, exchange: Exchange) -> None:
        """All but the end, and then the end of that only."""
        wanted = exchange.headers.get(b"range")
        if wanted is None:
            fields = [(b"content-length", b"%d" % SIZE), (b"etag", STRONG)]
            self._head(stream_id, 200, *fields)
            self._send(stream_id, pattern(SIZE)[: SIZE // 2], False)
            return
        begin = int(wanted.removeprefix(b"bytes=").removesuffix(b"-"))
        self._head(stream_id, 206, (b"content-range", b"bytes %d-%d/%d" % (begin, begin + 9, SIZE)))
        self._send(stream_id, pattern(SIZE)[begin : begin + 10], True)


def bad_web(here: list[Web]) -> ServerOptions:
    def application(connection: ServerConnection) -> Bad:
        return Bad(connection, here[0])

    return ServerOptions(alpn=("h3",), application=application)


async def test_one_bad_answer_ends_one_download(autojump_clock: Clock) -> None:
    here: list[Web] = []
    async with simulated_world(options=bad_web(here), ipv6=False) as world:
        here.append(Web(world, [], STRONG, b"bytes"))
        url = f"https://{AUTHORITY}:{PORT}"
        bad = [Job(url=f"{url}/bad/{n}", sink=Memory()) for n in range(len(HEADS))]
        circle = Job(url=f"{url}/circle/0", sink=Memory())
        good = Job(url=f"{url}/file", sink=Memory())
        # more than a script is likely to allow
        await fetch_jobs(here[0], [*bad, circle, good], redirects=50)
    assert good.error is None
    assert isinstance(good.sink, Memory)
    assert good.sink.content == pattern(SIZE)
    assert circle.exit_code == failures.REDIRECTS
    expected = {
        failures.BAD_URL,
        failures.UNKNOWN_HOST,
        failures.HTTP_STATUS,
        failures.REDIRECTS,
        failures.HTTP3,
    }
    for job, (status, fields) in zip(bad, HEADS, strict=True):
        fine = status in (200, 204) and not any(value.isdigit() for _, value in fields)
        assert job.exit_code in ({0} if fine else expected), (status, fields, job.error)
        assert "sesame" not in str(job.summary())


def _can_be_sent(chain: tuple[bytes, ...]) -> bool:
    """By aioquic, which has to read them, and has a buffer of a fixed size."""
    try:
        loaded = [x509.load_der_x509_certificate(one) for one in chain]
    except (ValueError, UserWarning, x509.InvalidVersion):
        return False  # warnings are errors here
    return len(loaded) == len(chain) and sum(map(len, chain)) < 3000


def real_servers() -> list[ServerOptions]:
    """A good server with bad answers; then some that have odd certificates."""
    web = Web(cast(World, None), [], STRONG, b"bytes")

    def application(connection: ServerConnection) -> Bad:
        return Bad(connection, web)

    good = ServerOptions(alpn=("h3",), application=application)
    chains = [chain for _, chain in odd_certificates.odd_chains() if _can_be_sent(chain)]
    key = odd_certificates.leaf().key
    odd = [
        ServerOptions(
            alpn=("h3",),
            application=application,
            credentials=Credentials(
                chain=tuple(map(x509.load_der_x509_certificate, chain)), key=key, ca_pem=b""
            ),
        )
        for chain in chains[::12]
    ]
    return [good, *odd]


@pytest.mark.parametrize("trust", ["--cafile", "--insecure"])
async def test_bad_servers_and_bad_answers_of_one_command(tmp_path: Path, trust: str) -> None:
    """The command itself, over real sockets: certificates, redirects and alternatives at once."""
    root = tmp_path / "root.pem"
    roots = pki.root().certificate.public_bytes(Encoding.PEM) + credentials().ca_pem
    root.write_bytes(roots)
    trusting = [trust] if trust == "--insecure" else [trust, root]
    answers = [n for n, (_, fields) in enumerate(HEADS) if b"example" not in str(fields).encode()]
    async with trio.open_nursery() as nursery:
        urls = []
        for options in real_servers():
            server: SimServer = await nursery.start(serve, ["127.0.0.1"], 0, options)
            urls.append(f"https://127.0.0.1:{server.port}")
        urls[1:1] = [f"{urls[0]}/bad/{number}" for number in answers]
        urls.append(f"{urls.pop(0)}/file")
        files = [arg for n in range(len(urls)) for arg in ("-o", tmp_path / str(n))]
        result = await trioquic("fetch", "-L", "--json", "--no-sessions", *trusting, *urls, *files)
        nursery.cancel_scope.cancel()
    *bad, good = json.loads(result.stdout)["transfers"]
    assert good["error"] is None
    assert await trio.Path(good["output"]).read_bytes() == pattern(SIZE)
    codes = [one["exit_code"] for one in bad]
    documented = {failures.BAD_URL, failures.HTTP_STATUS, failures.REDIRECTS, failures.HTTP3}
    assert set(codes[: len(answers)]) <= documented | {0}
    # whom nobody judges may be fine, and then has nothing at "/"; or cannot sign
    expected = {failures.CERTIFICATE}
    expected |= {failures.HTTP_STATUS, failures.NO_CONNECTION} if trust == "--insecure" else set()
    assert set(codes[len(answers) :]) <= expected
    assert "sesame" not in result.output


async def test_a_part_of_the_rest_is_not_all_of_it(autojump_clock: Clock) -> None:
    here: list[Web] = []
    async with simulated_world(options=bad_web(here), ipv6=False) as world:
        here.append(Web(world, [], STRONG, b"bytes"))
        job = Job(url=f"https://{AUTHORITY}:{PORT}/part", sink=Memory(here[0].close))
        await fetch_jobs(here[0], [job])
    assert job.exit_code == failures.LOST
    assert job.error == "the server sent only a part of the rest"


def tried(location: bytes) -> Target | FetchError:
    try:
        return redirected(BASE, location)
    except FetchError as error:
        return error


def test_whatever_a_location_is() -> None:
    chance = random.Random(13)
    pieces = [b"https:", b"http:", b"//", b"/", b"[", b"]", b"::1", b"%25", b"@", b":", b"?", b"#"]
    pieces += [b".", b"..", b"a", b"xn--", b"\xc3\xbc", b"\xff", b"\x00", b"\t", b" ", b"\\", b"-"]
    pieces += [
        b"99999",
        b"0",
        b"255.1.1.1",
        b"\xe2\x80\x8d",
        b"%zz",
        b";",
        b"\x9b",
        b"user:sesame@",
    ]
    documented = {failures.BAD_URL, failures.REDIRECTS}
    accepted = 0
    for _ in range(20_000):
        location = b"".join(chance.choices(pieces, k=chance.randrange(1, 9)))
        target = tried(location)
        if isinstance(target, FetchError):
            assert target.exit_code in documented
            assert not re.search("to [^/?#]*//[^/?#]*sesame", str(target))
            continue
        accepted += 1
        host, port = target.origin
        assert host.isascii() and 0 < port < 65536
        # what was made of it makes sense by itself, and has no user
        assert target_of(target.url).url == target.url
        assert "sesame" not in target.url.partition("/")[2].partition("/")[2].partition("/")[0]
    assert 1000 < accepted < 19_000


@pytest.mark.parametrize(
    ("location", "url"),
    [
        (b"../other", f"https://{AUTHORITY}:{PORT}/other"),
        (b"//elsewhere.example", "https://elsewhere.example"),
        (b"https://b\xc3\xbccher.example/", "https://xn--bcher-kva.example/"),
        (b"/caf\xc3\xa9", f"https://{AUTHORITY}:{PORT}/caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
        (b"/caf\xe9", f"https://{AUTHORITY}:{PORT}/caf%E9"),
        (b"https://[2001:DB8::0:1]:8443/", "https://[2001:db8::1]:8443/"),
        (b"https://[fe80::1%25eth0]/", "https://[fe80::1]/"),
        (b"https://user:sesame@elsewhere.example/", "https://elsewhere.example/"),
    ],
)
def test_where_redirects_lead(location: bytes, url: str) -> None:
    assert redirected(BASE, location).url == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://a.example:0/", "port 0"),
        ("https://a.example/x y", "blanks or control characters"),
        ("https://a.example/x?\x7f", "blanks or control characters"),
        ("https://a.example/\tx", "blanks or control characters"),
        ("https://a.ex\nample/", "blanks or control characters"),
    ],
)
def test_what_no_url_has(url: str, reason: str) -> None:
    """Neither from the user, where Python would take some of it away without a word, nor from a
    server, where that is as everybody does it."""
    with pytest.raises(FetchError, match=reason) as caught:
        target_of(url)
    assert caught.value.exit_code == failures.BAD_URL
    if "\t" not in url and "\n" not in url:
        with pytest.raises(FetchError, match=reason) as caught:
            redirected(BASE, url.encode())
        assert caught.value.exit_code == failures.BAD_URL


@pytest.mark.parametrize("text", ["https://[fe80::1%25eth0]:1/", "https://[fe80::1%eth0]:1/"])
def test_the_zone_of_an_address_stays_here(text: str) -> None:
    """RFC 6874: it means something on this machine only."""
    target = target_of(text)
    assert target.origin == ("fe80::1%eth0", 1)
    assert target.url == "https://[fe80::1]:1/"


@pytest.mark.parametrize(
    "url",
    [
        "https://user:sesame@a..b/",
        "https://user:sesame@[/",
        "https://user:ses@ame@host:99999/",
        "http://user:sesame@host/",
        "//user:sesame@host/",
        "user:sesame@host/",
        "user:sesame@host//",
        "https:user:sesame@host/",
        "https://user:sesame/x@host/",
        "https://user:x?sesame@host/",
        "https://user:sesame@host/folder/",
        "https://user:sesame@unknown.invalid/x",
    ],
)
def test_a_password_is_not_printed(url: str) -> None:
    for more in ([], ["-O"], ["--json", "-O"], ["-v"]):
        result = invoke("fetch", url, *more)
        assert result.exit_code in (2, failures.BAD_URL, failures.UNKNOWN_HOST)
        assert "ame@" not in result.output
        assert "sesame" not in result.output
    assert "ses" not in without_password(url)


async def test_a_password_goes_to_whom_it_is_for(autojump_clock: Clock) -> None:
    here: list[Web] = []
    asked: list[dict[bytes, bytes]] = []

    class Asked(Files):
        def _answer(self, stream_id: int, exchange: Exchange) -> None:
            asked.append(exchange.headers)
            if exchange.headers[b":path"] == b"/else":
                location = b"https://%s:%d/file" % (AUTHORITY.encode(), PORT)
                self._head(stream_id, 302, (b"location", location), end=True)
            else:
                super()._answer(stream_id, exchange)

    def application(connection: ServerConnection) -> Asked:
        return Asked(connection, here[0])

    options = ServerOptions(alpn=("h3",), application=application)
    async with simulated_world(options=options, ipv6=False) as world:
        here.append(Web(world, [], STRONG, b"bytes", Shown()))
        # the same server by its address is another origin
        jobs = [
            Job(url=f"https://me:p%40ss@{host}:{PORT}{path}", sink=Memory())
            for host, path in ((AUTHORITY, "/moved/1"), ("198.51.100.1", "/else"))
        ]
        await fetch_jobs(here[0], jobs)
    assert [job.error for job in jobs] == [None, None]
    given = [
        (headers[b":authority"].partition(b":")[0], headers[b":path"], b"authorization" in headers)
        for headers in asked
    ]
    assert sorted(given) == [
        (b"198.51.100.1", b"/else", True),
        (AUTHORITY.encode(), b"/file", False),
        (AUTHORITY.encode(), b"/file", True),
        (AUTHORITY.encode(), b"/moved/1", True),
    ]
    values = {headers[b"authorization"] for headers in asked if b"authorization" in headers}
    assert values == {b"Basic bWU6cEBzcw=="}
    assert not any(re.search("p%40ss|p@ss", str(job.summary())) for job in jobs)
