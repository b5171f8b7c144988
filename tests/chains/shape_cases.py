"""Chains of every shape: who issued what, what was sent, what is trusted, and when."""

from collections.abc import Iterator

from cryptography import x509

from tests.chains import parts
from tests.chains.case import Case
from tests.chains.forge import Made, extension, name
from tests.chains.parts import (
    FUTURE,
    NO_CA,
    PAST,
    SECOND,
    authority,
    case,
    server,
)
from tests.tls import der
from tests.tls.pki import DAY, NOW

UNTRUSTED = "is not trusted: "


def shape_cases() -> Iterator[Case]:
    yield from _shapes()
    yield from _untrusted()
    yield from _dates()


def chain_of(size: int, top: Made) -> list[Made]:
    """So many intermediates, the lowest one first."""
    chain: list[Made] = []
    for number in range(size):
        chain.insert(0, authority(f"middle {number}", chain[0] if chain else top))
    return chain


def _shapes() -> Iterator[Case]:
    root = authority("root")
    for size in (0, 1, 2, 5, 9):
        middles = chain_of(size, root)
        leaf = server(middles[0] if middles else root)
        yield case(f"{size} intermediates", root, leaf, *middles)
        yield case(f"{size} intermediates and the root", root, leaf, *middles, root)
        if size > 1:
            yield case(f"{size} intermediates, backwards", root, leaf, *reversed(middles))
    first, second = chain_of(2, root)
    leaf = server(first)
    others = [authority("nobody asked"), authority("nor for this", authority("stranger"))]
    yield case("more certificates than needed", root, leaf, *others, first, second, *others)
    yield case("an intermediate twice", root, leaf, first, first, second, second)
    yield case("many roots", (*others, root, *others), leaf, first, second)
    yield case("an intermediate for a root", second, leaf, first)
    yield case("the issuer alone for a root", first, leaf)
    yield case("the server's own certificate for a root", leaf, leaf)
    for label, owner in (("another root", authority("other")), ("no issuer", None)):
        alone = server(owner, subject=name("alone"))
        yield case(f"the server for a root: {label}", alone, alone, root)
    no_authority = authority("middle", root, NO_CA)
    leaf = server(no_authority)
    yield case("the server for a root, a bad issuer", leaf, leaf, no_authority, root,
               difference="own certificate")  # fmt: skip
    for ca in (True, False, None):
        kept = (
            (extension(x509.BasicConstraints(ca, None), critical=True),) if ca is not None else ()
        )
        own = server(None, *kept, without=(parts.BASIC,))
        yield case(f"a self-signed server, CA {ca}", own, own)
    yield from _cross_signed()


def _cross_signed() -> Iterator[Case]:
    root, old = authority("root"), authority("old root")
    crossed = authority("root", old)
    middle = authority("middle", root)
    leaf = server(middle)
    for label, trusted in (("new", root), ("old", old)):
        yield case(f"a cross-signed root, {label} one trusted", trusted, leaf, middle, crossed)
    by_old = authority("middle", old)
    yield case("a cross-signed intermediate", old, leaf, middle, by_old, difference="ways")
    yield case("a cross-signed intermediate, other order", old, leaf, by_old, middle)
    # each has certified the other one
    one, two = authority("one"), authority("two")
    loop = [authority("one", two), authority("two", one)]
    yield case("a loop below a root", one, server(two), *loop)
    yield case("a loop of strangers", root, server(two), *loop, reason=UNTRUSTED)
    late = authority("middle", root, **PAST)
    yield case("an expired twin of an intermediate", root, leaf, late, middle)
    blunt = authority("middle", root, extension(x509.BasicConstraints(False, None), True))
    yield case("a twin that is no authority, first", root, leaf, blunt, middle, difference="ways")
    yield case("a twin that is no authority, last", root, leaf, middle, blunt)
    again = authority("root", **PAST)
    yield case("an expired twin of the root", (again, root), leaf, middle)
    yield case("a self-issued intermediate", root, server(root), authority("root", root))
    rolled = authority("root", root, owner="rolled")
    yield case(
        "a root that certified its next key", root, server(rolled), rolled, difference="ways"
    )


def _untrusted() -> Iterator[Case]:
    root, stranger = authority("root"), authority("stranger")
    middle = authority("middle", root)
    leaf = server(middle)
    yield case("nothing but the leaf", root, leaf, reason=UNTRUSTED)
    lowest = authority("lowest", middle)
    yield case("a missing intermediate", root, server(lowest), lowest, reason=UNTRUSTED)
    yield case("another root", stranger, leaf, middle, reason=UNTRUSTED)
    yield case("another root, the right one sent", stranger, leaf, middle, root, reason=UNTRUSTED)
    forger = authority("root", owner="forger")
    yield case("a root's name and another key", root, server(forger), reason=UNTRUSTED)
    yield case("the same, sent", root, server(forger), forger, reason=UNTRUSTED)
    yield case(
        "the same, below an intermediate's name",
        root,
        leaf,
        authority("middle", forger, owner="another"),
        reason=UNTRUSTED,
    )
    own = server(None)
    yield case("a self-signed server", root, own, reason=UNTRUSTED)
    yield case("a twin of the trusted server", server(None, owner="twin"), own, reason=UNTRUSTED)
    other_case = authority(name("ROOT"), owner="root")
    yield case(
        "a root's name in other letters",
        other_case,
        server(root),
        reason=UNTRUSTED,
        difference="names of issuers",
    )
    printable = authority(name("root", tag=der.PRINTABLE), owner="root")
    yield case(
        "a root's name in another type",
        printable,
        server(root),
        reason=UNTRUSTED,
        difference="names of issuers",
    )
    bent = Made(leaf.der[:-1] + bytes([leaf.der[-1] ^ 1]), leaf.subject, leaf.key)
    yield case("a bad signature", root, bent, middle, reason=UNTRUSTED)
    weak = Made(middle.der[:-1] + bytes([middle.der[-1] ^ 1]), middle.subject, middle.key)
    yield case("a bad signature above", root, leaf, weak, reason=UNTRUSTED)


def _dates() -> Iterator[Case]:
    for label, dates, reason in (
        ("expired", PAST, "expired at"),
        ("not yet valid", FUTURE, "is not valid before"),
        ("just expired", {"since": NOW - DAY, "until": NOW - SECOND}, "expired at"),
        ("valid in a second", {"since": NOW + SECOND, "until": NOW + DAY}, "is not valid before"),
        ("valid from now on", {"since": NOW, "until": NOW + DAY}, None),
        ("valid until now", {"since": NOW - DAY, "until": NOW}, None),
    ):
        last = "last second" if label == "valid until now" else ""
        root, plain = authority("root"), authority("root", **dates)
        middle, dated = authority("middle", root), authority("middle", root, **dates)
        yield case(
            f"leaf {label}", root, server(middle, **dates), middle, reason=reason, difference=last
        )
        yield case(
            f"intermediate {label}", root, server(dated), dated, reason=reason, difference=last
        )
        yield case(f"root {label}", plain, server(middle), middle, reason=reason, difference=last)
        own = server(None, **dates)
        yield case(f"self-signed {label}", own, own, reason=reason, difference=last)
