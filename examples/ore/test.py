"""Values a portfolio in ORE's own XML through Fanfold, and compares it with ORE run directly: `make ore-test`."""
import copy
import json
import os
import random
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from stage import Stage  # noqa: E402

from fanfold import Failed, Fanfold  # noqa: E402

MARKET = (HERE / "market.xml").read_text().split("?>", 1)[1]
ANALYTICS = "<analytics><evaluation><date>2026-11-24</date></evaluation><currency>EUR</currency></analytics>"
LINKED = '<valuation name="ore" use="vn:link(/vnml/project/portfolio, Trade)">'


def trades(count):
    """Variants of the three trades of portfolio.xml, as ORE's XML."""
    chance, made = random.Random(8), []
    patterns = ET.parse(HERE / "portfolio.xml").getroot().findall("project/portfolio/Trade")
    for number in range(count):
        trade = copy.deepcopy(patterns[number % 3])
        trade.set("id", f"t{number}")
        amount, year = str(1000 * chance.randint(10, 5000)), chance.randint(2027, 2031)
        for path, text in ((".//Notional", amount), (".//BoughtAmount", amount), (".//SoldAmount", str(int(amount) * chance.uniform(1.0, 1.3))),
                           (".//EndDate", f"{year + 5}-09-15"), (".//ValueDate", f"{year}-03-01"), (".//ExerciseDate", f"{year}-11-24"),
                           (".//FixedLegData/Rates/Rate", f"{chance.uniform(0, 0.06):.5f}")):
            for element in trade.findall(path):
                element.text = text
        trade.tail = None
        made.append(ET.tostring(trade, encoding="unicode"))
    return made


def directly(folder, made):
    """What ORE says of all trades at once, run on files in a process of its own."""
    (folder / "portfolio.xml").write_text(f"<Portfolio>{''.join(made)}</Portfolio>")
    ran = subprocess.run([sys.executable, str(HERE / "direct.py"), str(folder), "portfolio.xml"], capture_output=True, text=True, check=True)
    values = json.loads(ran.stdout.strip().splitlines()[-1])
    assert len(values) == len(made) and not [v for v in values.values() if v[0] == "Failed"], values
    return {trade: (npv, base) for trade, (_, npv, base) in values.items()}


def found(group):
    return {trade.get("id"): (float(trade.find("npv/amount").text), float(trade.find("baseNpv/amount").text))
            for trade in group.iter("trade")}


def equal(ours, theirs, what):
    assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
    worst = max(abs(a - b) / max(1, abs(b)) for trade in theirs for a, b in zip(ours[trade], theirs[trade]))
    assert worst < 1e-9, f"{what}: off by {worst}"
    print(f"ok  {what}: {len(ours)} trades, none off by more than {worst:.1e}")


def main():
    stage = Stage(HERE / "types.toml", HREF_ALLOW=f"file://{HERE}")
    stage.start(sys.executable, str(HERE / "worker.py"))
    fanfold, made = Fanfold(stage.url), trades(int(os.environ.get("TRADES", "120")))
    theirs = directly(stage.folder, made)
    each = f'{LINKED}<market select="/vnml/project/market"/><Portfolio><Trade select="."/></Portfolio>{ANALYTICS}</valuation>'
    for how, market in (("shared by select", MARKET), ("fetched by href", f'<market name="ore" href="file://{HERE}/market.xml"/>')):
        began = time.monotonic()
        response = fanfold.value(f"<vnml><project>{market}<portfolio>{''.join(made)}</portfolio><group>{each}</group></project></vnml>", timeout=600)
        equal(found(ET.fromstring(response)), theirs, f"one task for each trade, the market {how}")
        print(f"    {time.monotonic() - began:.1f} s")
    inline = "".join(made)
    whole = f'<valuation name="ore"><market select="/vnml/project/market"/><Portfolio>{inline}</Portfolio>{ANALYTICS}</valuation>'
    equal(found(ET.fromstring(fanfold.value(f"<vnml><project>{MARKET}<group>{whole}</group></project></vnml>", timeout=300))), theirs, "all trades in one task")
    example = (HERE / "portfolio.xml").read_text().replace("MARKET", f"file://{HERE}/market.xml")
    groups = ET.fromstring(fanfold.value(example, timeout=120)).findall("project/group")
    assert found(groups[0]) == found(groups[1]) and len(found(groups[0])) == 3
    print("ok  portfolio.xml: each trade alone is worth what it is among the others")
    try:
        raise AssertionError(fanfold.value(example.replace("<BoughtCurrency>EUR", "<BoughtCurrency>CHF", 1), timeout=60))
    except Failed as failed:
        assert "ore-trade-failed" in failed.why and "CHF" in failed.why, failed.why
    print("ok  a trade that ORE cannot value says why")


main()
