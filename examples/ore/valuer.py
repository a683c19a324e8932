"""Values the trades of one task with ORE. README.md describes the elements."""
import json
import os
import tempfile
from pathlib import Path
from xml.dom import minidom

import ORE

from fanfold.worker import Never

# ORE writes a log for each run, and nothing else here.
LOGS = Path(tempfile.mkdtemp(prefix="fanfold-ore-"))


def value(task):
    """The document of a task with the value of every trade of its valuation."""
    parsed = minidom.parseString(task.document.encode())
    valuation = parsed.documentElement
    for tag in ("project", "group", "valuation"):
        valuation = child(valuation, tag)
    market, portfolio, analytics = (child(valuation, tag) for tag in ("market", "Portfolio", "analytics"))
    currency = text(child(analytics, "currency"))
    inputs = ORE.InputParameters()
    inputs.setAsOfDate(text(child(child(analytics, "evaluation"), "date")))
    inputs.setBaseCurrency(currency)
    inputs.setResultsPath(str(LOGS))
    # The document has all the quotes and fixings that there are.
    inputs.setEntireMarket(True)
    inputs.setAllFixings(True)
    inputs.insertAnalytic("NPV")
    app = ORE.OREApp(inputs, str(LOGS / f"{os.getpid()}.log"), 7)
    try:
        inputs.setConventions(child(market, "Conventions").toxml())
        inputs.setCurveConfigs(child(market, "CurveConfiguration").toxml())
        inputs.setTodaysMarketParams(child(market, "TodaysMarket").toxml())
        inputs.setPricingEngine(child(market, "PricingEngines").toxml())
        inputs.setPortfolio(portfolio.toxml())
        app.run(lines(child(market, "quotes")), lines(child(market, "fixings")))
        report = app.getReport("npv")
    except RuntimeError as error:  # ORE's own errors
        raise Never(str(error), code="ore-error", causes=told())
    columns = {report.header(number): number for number in range(report.columns())}
    of = {name: report.dataAsString(columns[name]) for name in ("TradeId", "TradeType", "NpvCurrency")}
    npv, base = report.dataAsReal(columns["NPV"]), report.dataAsReal(columns["NPV(Base)"])
    failed = [trade for trade, kind in zip(of["TradeId"], of["TradeType"]) if kind == "Failed"]
    if failed:
        raise Never(f"ORE could not value {', '.join(failed)}", code="ore-trade-failed", causes=told())
    for trade, own, amount, amount_base in sorted(zip(of["TradeId"], of["NpvCurrency"], npv, base)):
        result = analytics.appendChild(parsed.createElement("trade"))
        result.setAttribute("id", trade)
        for tag, number, unit in (("npv", amount, own), ("baseNpv", amount_base, currency)):
            result.appendChild(parsed.createElement(tag)).appendChild(parsed.createElement("amount"))
            result.lastChild.setAttribute("currency", unit)
            result.lastChild.firstChild.appendChild(parsed.createTextNode(repr(number)))
    return parsed.toxml()


def child(element, tag):
    for node in element.childNodes:
        if node.nodeType == node.ELEMENT_NODE and node.tagName == tag:
            return node
    raise Never(f"{element.tagName} has no {tag}", code="ore-missing")


def text(element):
    return "".join(node.data for node in element.childNodes if node.nodeType in (node.TEXT_NODE, node.CDATA_SECTION_NODE)).strip()


def lines(element):
    return [line.strip() for line in text(element).splitlines() if line.strip() and not line.lstrip().startswith("#")]


def told():
    """The errors that ORE wrote into its structured log in the last run."""
    messages = []
    for log in LOGS.glob("*structured*"):
        for line in log.read_text(errors="replace").splitlines():
            try:
                said = json.loads(line[line.index("{"):])
            except ValueError:
                continue
            if said.get("category") == "Error" and said["message"] not in messages:
                messages.append(said["message"])
    return messages[:10]
