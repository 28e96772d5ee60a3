"""Domains that tell a company, and those that do not: public mail providers, inbound services.

The lists are short on purpose. They decide only the default of `own_domains`: a company whose
address is at a provider that is missing here refuses that provider's other users until it sets the
option. Providers: those with most users worldwide, in Japan with its mobile carriers, and in the
larger countries. What is below a domain belongs to it: `ezweb.ne.jp`, `xy7.ezweb.ne.jp`.
"""

from __future__ import annotations

import re

#: Providers with a domain for each country, such as yahoo.co.jp and hotmail.fr.
_IN_MANY_COUNTRIES = re.compile(
    r"(?:yahoo|ymail|hotmail|outlook|live|gmx|googlemail|aol|yandex)"
    r"\.(?:com|net|[a-z]{2}|(?:com?|ne)\.[a-z]{2})"
)
_PROVIDERS = frozenset(
    """
    gmail.com msn.com passport.com windowslive.com rocketmail.com myyahoo.com yahoofamily.com
    icloud.com me.com mac.com privaterelay.appleid.com aim.com mail.com email.com usa.com
    inbox.com fastmail.com fastmail.fm hey.com hushmail.com tutanota.com tutanota.de tuta.com
    tuta.io tutamail.com keemail.me proton.me protonmail.com protonmail.ch pm.me zoho.com
    zohomail.com zohomail.eu duck.com mozmail.com simplelogin.com simplelogin.io anonaddy.com
    anonaddy.me passmail.net mailinator.com yopmail.com guerrillamail.com

    docomo.ne.jp mopera.net ezweb.ne.jp au.com uqmobile.jp softbank.ne.jp vodafone.ne.jp
    i.softbank.jp disney.ne.jp y-mobile.ne.jp ymobile.ne.jp ymobile1.ne.jp willcom.com pdx.ne.jp
    emnet.ne.jp emobile.ne.jp emobile-s.ne.jp rakuten.jp rakumail.jp yahoo.ne.jp ybb.ne.jp
    goo.jp goo.ne.jp nifty.com nifty.ne.jp biglobe.ne.jp ocn.ne.jp so-net.ne.jp so-net.jp
    plala.or.jp dion.ne.jp auone-net.jp infoweb.ne.jp infoseek.jp excite.co.jp eonet.ne.jp
    jcom.home.ne.jp jcom.zaq.ne.jp zaq.ne.jp home.ne.jp hi-ho.ne.jp asahi-net.or.jp odn.ne.jp
    odn.ad.jp dti.ne.jp wakwak.com tcn-catv.ne.jp t-com.ne.jp ctk.ne.jp megaegg.ne.jp
    commufa.jp pikara.ne.jp bbiq.jp cty-net.ne.jp tees.jp mineo.jp iijmio-mail.jp kdn.jp

    qq.com foxmail.com vip.qq.com 163.com 126.com yeah.net 188.com 139.com 189.cn wo.cn sina.com
    sina.cn sohu.com 21cn.com aliyun.com tom.com naver.com hanmail.net daum.net kakao.com nate.com
    hanmir.com seznam.cz email.cz centrum.cz wp.pl o2.pl onet.pl onet.eu interia.pl op.pl
    rediffmail.com rambler.ru mail.ru bk.ru inbox.ru list.ru internet.ru ya.ru ukr.net i.ua
    mail.bg abv.bg libero.it virgilio.it tiscali.it alice.it tin.it tim.it web.de t-online.de
    freenet.de arcor.de posteo.de mailbox.org kabelmail.de vodafone.de 1und1.de bluewin.ch
    hispeed.ch sunrise.ch a1.net chello.at aon.at orange.fr wanadoo.fr free.fr sfr.fr
    laposte.net bbox.fr neuf.fr numericable.fr ziggo.nl kpnmail.nl kpnplanet.nl planet.nl
    hetnet.nl home.nl telenet.be skynet.be proximus.be btinternet.com btopenworld.com sky.com
    virginmedia.com ntlworld.com blueyonder.co.uk talktalk.net tiscali.co.uk eircom.net telia.com
    telfort.nl xs4all.nl bredband.net online.no tele2.se comhem.se spray.se walla.co.il walla.com
    uol.com.br bol.com.br terra.com.br ig.com.br globo.com globomail.com prodigy.net.mx
    telefonica.net terra.es sapo.pt comcast.net xfinity.com verizon.net att.net sbcglobal.net
    bellsouth.net cox.net charter.net spectrum.net earthlink.net juno.com netzero.net optonline.net
    windstream.net frontier.com centurylink.net rogers.com bell.net sympatico.ca shaw.ca telus.net
    videotron.ca bigpond.com bigpond.net.au optusnet.com.au iinet.net.au tpg.com.au xtra.co.nz
    """.split()  # noqa: SIM905 - readable
)
_INBOUND = frozenset(
    ["inbound.postmarkapp.com", "mailgun.org", "mtasv.net", "sendgrid.net", "amazonses.com"]
)
#: Names of hosts that companies make to receive mails beside their domain, as services ask for.
_HOSTS = frozenset(
    """
    parse inbound incoming in inbox mail email e-mail mg mailgun sg sendgrid ses postmark pm mx
    smtp reply replies help support helpdesk tickets contact notify notifications
    """.split()  # noqa: SIM905 - readable
)


def companys(domain: str) -> list[str]:
    """Return the domains of the company that receives mails in a domain (in lower case).

    None if it is a public provider's. Of a host that is there for mails alone (`parse.example.com`)
    the domain above is the company's too: its people write from there.
    """
    if is_public(domain):
        return []
    host, _, above = domain.partition(".")
    return [domain, above] if host in _HOSTS and "." in above and not is_public(above) else [domain]


def is_public(domain: str) -> bool:
    """Return True if a domain (in lower case) is that of a public mail provider."""
    return _among(domain, _PROVIDERS) or any(map(_IN_MANY_COUNTRIES.fullmatch, _parents(domain)))


def is_inbound_service(domain: str) -> bool:
    """Return True if a domain is that of a service which takes mail for companies."""
    return _among(domain, _INBOUND)


def _among(domain: str, known: frozenset[str]) -> bool:
    return any(one in known for one in _parents(domain))


def _parents(domain: str) -> list[str]:
    """Return a domain and all that are above it."""
    labels = domain.split(".")
    return [".".join(labels[number:]) for number in range(len(labels))]
