"""The stories of identity: what happens to people, devices and numbers, and what comes of it.

docs/identity.md shows them as a table. A phase's steps may come in any order, so a story with one
phase is true in every order.
"""

from __future__ import annotations

from itertools import chain, pairwise

from schemas.identifiers import IdentityPolicy
from tests.support.story import Story, each, lift, seen, split

HANAKO, TARO = "customer_id:hanako", "customer_id:taro"
H_MAIL, T_MAIL = "email:h@x.jp", "email:t@x.jp"
LINE, X = "line:U1", "x:hanako_x"
PHONE = "phone:090-1234-5678"
NUMBER = "+819012345678"
TABLET, BROWSER = "device_id:tablet", "anonymous_id:browser"
CHAIN = [seen(*pair) for pair in pairwise([HANAKO, H_MAIL, LINE, X])]
WRITINGS = (
    "090-1234-5678", "09012345678", "０９０－１２３４－５６７８", "+81 90 1234 5678",
    "+81-90-1234-5678", "(090)1234-5678", "090 1234 5678", "＋８１９０１２３４５６７８",
)  # fmt: skip

JOINING = [
    Story(
        "simple",
        "An e-mail address seen with a customer id: one person, under the id of the customer.",
        [[seen(HANAKO, H_MAIL), seen(H_MAIL)]],
        {"hanako h@x.jp": 2},
    ),
    Story(
        "chain",
        "Links one after the other make one person, however long the chain.",
        each(CHAIN),
        {"hanako h@x.jp U1 hanako_x": 3},
    ),
    Story(
        "reverse chain",
        "The same from its weak end: the profile's id becomes the customer's at the end.",
        each(CHAIN[::-1]),
        {"hanako h@x.jp U1 hanako_x": 3},
    ),
    Story(
        "three-way",
        "One touch that names three identifiers joins all three.",
        [[seen(LINE, PHONE, H_MAIL)]],
        {f"h@x.jp {NUMBER} U1": 1},
    ),
    Story(
        "bridge",
        "A link between two people of several identifiers each makes them one.",
        [[seen(H_MAIL, PHONE), seen(T_MAIL, LINE)], [seen(PHONE, LINE)]],
        {f"h@x.jp {NUMBER} t@x.jp U1": 3},
    ),
    Story(
        "late bridge",
        "A touch of last winter arrives in May and joins two people; older traits change nothing.",
        [
            [seen(H_MAIL, traits={"city": "Kyoto"}), seen(LINE, traits={"name": "Hana"})],
            [seen(H_MAIL, LINE, occurred_at="2026-01-05T00:00:00Z", traits={"city": "Tokyo"})],
        ],
        {"h@x.jp U1": {"touchpoints": 3, "traits": {"city": "Kyoto", "name": "Hana"}}},
    ),
    Story(
        "nothing is lost",
        "Two buyers who turn out to be one: orders, revenue and segments are those of both.",
        [
            [seen(H_MAIL, amount="2000", consent={"marketing": False}),
             seen(LINE, amount="1500", occurred_at="2026-05-02T00:00:00Z",
                  consent={"marketing": True})],
            [seen(H_MAIL, LINE)],
        ],
        {"h@x.jp U1": {"touchpoints": 3, "orders": 2, "revenue": {"JPY": "3500"},
                       "consent": {"marketing": True},
                       "segments": ["mailable", "quiet", "spenders"]}},
    ),
    Story(
        "alias",
        "The visitor of a moment ago has an account now: what the browser did is the customer's.",
        [[seen(BROWSER), seen(BROWSER)], [seen(HANAKO, BROWSER, type="aliased")]],
        {"hanako browser": 3},
    ),
    Story(
        "re-observation",
        "The same link seen five times is one link and five touches.",
        [[seen(HANAKO, H_MAIL) for _ in range(5)]],
        {"hanako h@x.jp": 5},
    ),
    Story(
        "self link",
        "One address in two writings is one identifier, linked with nobody.",
        [[seen(H_MAIL, "email:H@X.JP"), seen("email:H@x.jp")]],
        {"h@x.jp": 2},
    ),
    Story(
        "Japanese phone numbers",
        "One number in all its writings is one identifier.",
        [[seen(f"phone:{writing}", LINE) for writing in WRITINGS]],
        {f"{NUMBER} U1": len(WRITINGS)},
    ),
    Story(
        "newsletter click, then login",
        "A click in a newsletter, then a login in the same browser: two people, until one touch "
        "names both.",
        [
            [seen(H_MAIL, BROWSER, type="email_clicked", channel="email"), seen(HANAKO, BROWSER),
             seen(BROWSER)],
            [seen(HANAKO, H_MAIL)],
        ],
        {"hanako h@x.jp browser": 4},
    ),
]  # fmt: skip

FOLLOWING = [
    Story(
        "shared device",
        "A tablet that two customers use is nobody's, and joins nobody; what it led stays its own.",
        [[seen(HANAKO, TABLET), seen(TARO, TABLET), seen(TABLET)]],
        {"hanako": 1, "taro": 1, "tablet": 1},
    ),
    Story(
        "shared device with e-mails only",
        "The same where both gave nothing but an e-mail address.",
        [[seen(H_MAIL, TABLET), seen(T_MAIL, TABLET), seen(TABLET)]],
        {"h@x.jp": 1, "t@x.jp": 1, "tablet": 1},
    ),
    Story(
        "kiosk",
        "A device in a shop that thirty customers use is nobody's, and its browser with it.",
        [[seen(TABLET, BROWSER), *(seen(f"customer_id:c{n}", TABLET) for n in range(30))]],
        {"tablet browser": 1} | {f"c{n}": 1 for n in range(30)},
    ),
    Story(
        "user switch",
        "Two people log in, one after the other, in one browser: it is nobody's from then on.",
        [[seen(BROWSER), seen(HANAKO, BROWSER)], [seen(TARO, BROWSER), seen(BROWSER)]],
        {"hanako": 1, "taro": 1, "browser": 2},
    ),
    Story(
        "a device of two people who turn out to be one",
        "It is nobody's while they are two, and theirs with all it led when they are one.",
        [[seen(H_MAIL, TABLET), seen(LINE, TABLET), seen(TABLET)], [seen(H_MAIL, LINE)]],
        {"h@x.jp U1 tablet": 4},
    ),
    Story(
        "limits of devices",
        "Of more than twenty devices the twenty strongest stay; no conflict is recorded.",
        [[seen(HANAKO, f"device_id:d{n:02}") for n in range(22)]],
        {"hanako " + " ".join(f"d{n:02}" for n in range(20)): 22, "d20": 0, "d21": 0},
    ),
]

CONFLICTS = [
    Story(
        "shared family e-mail",
        "Two customers give one address: it stays with the first, they stay two.",
        each([seen(HANAKO, H_MAIL), seen(TARO, H_MAIL), seen(H_MAIL)]),
        {"hanako h@x.jp": 2, "taro": 1},
        ["unique h@x.jp"],
    ),
    Story(
        "call-centre phone",
        "The call centre's own number is logged with every caller: only the first one keeps it.",
        [[seen("customer_id:c0", PHONE)], [seen(f"customer_id:c{n}", PHONE) for n in (1, 2, 3)]],
        {f"c0 {NUMBER}": 1, "c1": 1, "c2": 1, "c3": 1},
        [f"unique {NUMBER}"] * 3,
    ),
    Story(
        "reused phone number",
        "A number passes to another customer: split it, and it is his when next seen.",
        each([seen(HANAKO, PHONE), seen(TARO, PHONE), split(PHONE), seen(TARO, PHONE)]),
        {"hanako": 1, f"taro {NUMBER}": 2},
        [f"unique {NUMBER}"],
    ),
    Story(
        "company address of many",
        "An address that a whole office uses joins the first five of a kind, not more.",
        [[seen("email:info@x.jp", f"line:U{n}") for n in some] for some in (range(5), (5, 6))],
        {"info@x.jp U0 U1 U2 U3 U4": 7, "U5": 0, "U6": 0},
        ["limit U5", "limit U6"],
    ),
    Story(
        "limits",
        "A sixth e-mail address of one customer is refused.",
        [[seen(HANAKO, f"email:h{n}@x.jp") for n in range(5)], [seen(HANAKO, "email:h5@x.jp")]],
        {"hanako h0@x.jp h1@x.jp h2@x.jp h3@x.jp h4@x.jp": 6, "h5@x.jp": 0},
        ["limit h5@x.jp"],
    ),
    Story(
        "too many in a day",
        "An identifier that joins more than twenty people within a day is refused the rest.",
        [[seen(HANAKO, f"email:h{n}@x.jp") for n in some] for some in (range(20), (20, 21))],
        {"hanako " + " ".join(f"h{n}@x.jp" for n in range(20)): 22, "h20@x.jp": 0, "h21@x.jp": 0},
        ["rate h20@x.jp", "rate h21@x.jp"],
        policy=IdentityPolicy().with_kinds({"email": {"limit": 100}}),
    ),
    Story(
        "blocked values",
        "What is no identity joins nobody: null, guest, zeros, an address that takes no replies.",
        [list(chain.from_iterable(
            [seen(H_MAIL, blocked), seen(T_MAIL, blocked)]
            for blocked in ("customer_id:null", "customer_id:GUEST", "phone:000-0000-0000",
                            "email:no-reply@x.jp", "device_id:00000000-0000-0000", "line:０")
        ))],
        {"h@x.jp": 6, "t@x.jp": 6},
    ),
]  # fmt: skip

UNDONE = [
    Story(
        "split and repeated link",
        "A wrong link is split; touches that repeat it do not join them again.",
        [[seen(HANAKO, H_MAIL), seen(H_MAIL)], [split(H_MAIL)], [seen(HANAKO, H_MAIL)]],
        {"hanako": 2, "h@x.jp": 1},
    ),
    Story(
        "lifted split",
        "A lifted split joins nobody by itself; the next touch that names both does.",
        each([seen(HANAKO, H_MAIL), split(H_MAIL), seen(HANAKO, H_MAIL), lift(H_MAIL),
              seen(HANAKO, H_MAIL)]),
        {"hanako h@x.jp": 3},
    ),
    Story(
        "a split bridge",
        "A phone number that bridged two people goes; each keeps what was its own.",
        [
            [seen(H_MAIL, LINE, amount="2000"), seen(T_MAIL, X, amount="2000")],
            [seen(H_MAIL, PHONE), seen(T_MAIL, PHONE)],
            [split(PHONE)],
        ],
        {
            "h@x.jp U1": {"touchpoints": 2, "revenue": {"JPY": "2000"}, "segments": ["quiet"]},
            "t@x.jp hanako_x": {"touchpoints": 2, "orders": 1, "segments": ["quiet"]},
            NUMBER: 0,
        },
    ),
    Story(
        "untrusted source",
        "A source with `links: false` adds touches and joins nobody; another source does.",
        each([seen(HANAKO, H_MAIL, source="kiosk"), seen(T_MAIL, PHONE, source="kiosk"),
              seen(HANAKO, H_MAIL)]),
        {"hanako h@x.jp": 2, "t@x.jp": 1, NUMBER: 0},
        untrusted=("kiosk",),
    ),
    Story(
        "bulk undo of a source",
        "The links of one source are undone; it cannot make them again, another source can.",
        [
            [seen(HANAKO, H_MAIL, source="shop"), seen(TARO, T_MAIL, source="shop")],
            [split(H_MAIL, lead=HANAKO, source="shop"), split(T_MAIL, lead=TARO, source="shop")],
            [seen(HANAKO, H_MAIL, source="shop"), seen(TARO, T_MAIL)],
        ],
        {"hanako": 2, "h@x.jp": 0, "taro t@x.jp": 2},
    ),
]  # fmt: skip

TUNED = [
    Story(
        "shared tablet where devices join",
        "With device_id: {joins: true} a tablet joins two customers; a split of it undoes that.",
        [
            [seen(H_MAIL, TABLET, amount="2000"), seen(T_MAIL, TABLET, amount="2000")],
            [split(TABLET)],
            [seen(H_MAIL, TABLET)],
        ],
        {
            "h@x.jp": {"touchpoints": 2, "revenue": {"JPY": "2000"}, "segments": ["quiet"]},
            "t@x.jp": {"touchpoints": 1, "revenue": {"JPY": "2000"}, "segments": ["quiet"]},
            "tablet": 0,
        },
        policy=IdentityPolicy().with_kinds({"device_id": {"joins": True}}),
    ),
    Story(
        "shared phone where phones follow",
        "Where customers share phones, a number of two customers is nobody's and joins nobody.",
        [[seen(HANAKO, PHONE), seen(TARO, PHONE), seen(PHONE), seen(TARO, LINE), seen(LINE)]],
        {"hanako": 1, "taro U1": 3, NUMBER: 1},
        policy=IdentityPolicy().with_kinds(
            {k: {"joins": False} for k in ("phone", "line", "facebook", "instagram", "x")}
        ),
    ),
]

STORIES = [*JOINING, *FOLLOWING, *CONFLICTS, *UNDONE, *TUNED]
