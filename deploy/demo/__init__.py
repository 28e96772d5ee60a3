"""`touchline demo`: sample data, generated traffic, and a report that proves its numbers.

data/       the CDNOW purchases, compressed
cdnow       reads them, shifted to end yesterday
people, visits, messages, notes, bad_requests, generate
            what is generated around their customers
delivery    one request, before it is signed; wire: as its provider shapes and signs it
send        through the HTTP gateway, with a ledger of its own; probe: single touches, timed
settle      until everything is visible; proof: compares; queries, report: prints
stack       `touchline up` as a child; run: all of it
"""

from deploy.demo.run import run

__all__ = ["run"]
