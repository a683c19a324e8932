"""Prices a portfolio of 1,000 trades through Fanfold, and compares every number: `make quantlib-test`."""
import os
import random
import re
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from stage import Stage  # noqa: E402

import direct  # noqa: E402
from fanfold import Failed, Fanfold  # noqa: E402

EVALUATION = f"<evaluation><date>{direct.TODAY}</date></evaluation>"


def market():
    zeros = "".join(f'<zero tenor="{tenor}" rate="{rate}"/>' for tenor, rate in direct.ZEROS.items())
    swaps = "".join(f'<swap tenor="{tenor}" rate="{rate}"/>' for tenor, rate in direct.SWAPS.items())
    fixings = "".join(f'<fixing date="{day}" rate="{rate}"/>' for day, rate in direct.fixings().items())
    return (f'<market name="base"><curve name="EUR-OIS">{zeros}</curve>'
            f'<curve name="EUR-6M"><deposit tenor="6M" rate="{direct.DEPOSIT}"/>{swaps}</curve>'
            f'<index name="EURIBOR-6M" tenor="6M" curve="EUR-6M">{fixings}</index>'
            f'<underlying name="ACME"><spot>{direct.SPOT}</spot><volatility>{direct.VOLATILITY}</volatility>'
            f"<dividend>{direct.DIVIDEND}</dividend></underlying></market>")


def portfolio(trades):
    """The values now, with a percent on every zero rate, and what a basis point changes of the first group's values."""
    instruments = "".join(f'<instrument name="t{n}">{direct.element(*trade)}</instrument>' for n, trade in enumerate(trades))
    each = '<valuation name="quantlib" use="vn:link(/vnml/project/portfolio, instrument)">'
    priced = f'<instrument select="."/><analytics>{EVALUATION}<price/></analytics></valuation>'
    up = '<curve name="EUR-OIS" shift="{0}"/><curve name="EUR-6M" shift="{0}"/>'
    base = "/vnml/project/market"
    return (f"<vnml><project>{market()}<portfolio>{instruments}</portfolio>"
            f'<group name="base">{each}<market select="{base}"/>{priced}</group>'
            f'<group name="up">{each}<market select="{base}">{up.format("0.01")}</market>{priced}</group>'
            f'<group name="point"><valuation name="quantlib" use="vn:link(/vnml/project/group[1], valuation)">'
            f'<market select="{base}">{up.format("0.0001")}</market><instrument select="./instrument"/>'
            f'<base><amount select="./analytics/price/amount"/></base><analytics>{EVALUATION}<price/><change/></analytics>'
            f"</valuation></group></project></vnml>")


def amounts(group, path="price"):
    return [float(v.find(f"analytics/{path}/amount").text) for v in group.findall("valuation")]


def equal(found, wanted, what):
    assert len(found) == len(wanted), f"{what}: {len(found)} in place of {len(wanted)}"
    worst = max(abs(a - b) / max(1, abs(b)) for a, b in zip(found, wanted))
    assert worst < 1e-9, f"{what}: off by {worst}"
    print(f"ok  {what}: {len(found)} values, none off by more than {worst:.1e}")


def the_portfolio_is_worth_what_quantlib_says(fanfold, count):
    trades = list(direct.trades(count))
    document, began = portfolio(trades), time.monotonic()
    response = fanfold.value(document, timeout=600)
    took = time.monotonic() - began
    groups = {group.get("name"): group for group in ET.fromstring(response).findall("project/group")}
    base, up, point = direct.values(trades), direct.values(trades, 0.01), direct.values(trades, 0.0001)
    equal(amounts(groups["base"]), base, "the values")
    equal(amounts(groups["up"]), up, "with a percent on every zero rate")
    equal(amounts(groups["point"], "change"), [p - b for p, b in zip(point, base)], "what a basis point changes")
    print(f"    {3 * count} tasks in {took:.1f} s; a document of {len(document) / 1e6:.1f} MB, a response of {len(response) / 1e6:.1f} MB")


def bonds_and_loans_are_worth_what_the_reference_says(fanfold, reference, count):
    chance, valuations = random.Random(1), []
    for number in range(count):
        day = f"20{chance.randint(20, 29)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
        frequency = chance.choice([1, 2, 4, 12])
        if chance.random() < 0.3:
            end = f"<term>{chance.randint(1, 20)}</term>"
        else:
            end = f"<maturity><date>{int(day[:4]) + chance.randint(1, 25)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}</date></maturity>"
        principal, rate = chance.randint(100, 10**6), f"{chance.uniform(0, 0.12):.4f}"
        terms = (f"<loan><principal>{principal}</principal><rate>{rate}</rate><frequency>{frequency}</frequency>{end}</loan>" if number % 2 else
                 f"<bond><principal>{principal}</principal><coupon><rate>{rate}</rate><frequency>{frequency}</frequency></coupon>{end}</bond>")
        valuations.append(f"<market><rate>{chance.uniform(0, 0.1):.4f}</rate></market><instrument>{terms}</instrument>"
                          f"<analytics><evaluation><date>{day}</date></evaluation><price/><accruedInterest/></analytics>")
    document = "".join(f'<valuation name="quantlib">{v}</valuation>' for v in valuations)
    document = f"<vnml><project><group>{document}</group></project></vnml>"
    groups = [ET.fromstring(of.value(document, timeout=300)).find("project/group") for of in (reference, fanfold)]
    for path in ("price", "accruedInterest"):
        theirs, ours = (amounts(group, path) for group in groups)
        apart = [(n, a, b) for n, (a, b) in enumerate(zip(theirs, ours)) if abs(a - b) > 0.0100001]
        assert not apart, [(valuations[n], a, b) for n, a, b in apart[:3]]
        print(f"ok  {path} of {count} bonds and loans: {sum(a == b for a, b in zip(theirs, ours))} as the reference has it, the others a cent apart")


def what_cannot_be_priced_says_why(fanfold):
    for change, code, why in (((r"<curve>EUR-OIS</curve>", "<curve>USD</curve>"), "quantlib-missing", "market/curve named 'USD'"),
                              ((r"<principal>\d+", "<principal>much"), "quantlib-bad-value", "is 'much'"),
                              ((r"fixedRateBond>", "rainbow>"), "quantlib-no-instrument", "none of")):
        document = re.sub(*change, (HERE / "portfolio.xml").read_text(), count=0)
        try:
            raise AssertionError(fanfold.value(document, timeout=60))
        except Failed as failed:
            assert code in failed.why and why in failed.why, failed.why
    print("ok  what cannot be priced says why")


def main():
    stage = Stage(HERE / "types.toml")
    stage.start(sys.executable, str(HERE / "worker.py"))
    fanfold = Fanfold(stage.url)
    the_portfolio_is_worth_what_quantlib_says(fanfold, int(os.environ.get("TRADES", "1000")))
    other = Stage()  # Its executor is `reference`.
    bonds_and_loans_are_worth_what_the_reference_says(fanfold, Fanfold(other.url), 400)
    what_cannot_be_priced_says_why(fanfold)
    assert "<price><amount>" in fanfold.value((HERE / "portfolio.xml").read_text(), timeout=60)


main()
