"""Prices one task with QuantLib. README.md describes the elements."""
from fanfold.worker import Never
from market import Market
from trades import KINDS
from vnml import valuation


def price(task):
    """The document of a task with the results of its valuation filled in."""
    parsed, of = valuation(task.document)
    instrument, analytics = of.get("instrument"), of.get("analytics")
    for kind, value in KINDS.items():
        trade = instrument.find(kind)
        if trade is None:
            continue
        try:
            results = value(trade, Market.of(of), of)
        except RuntimeError as error:  # QuantLib's own errors
            raise Never(str(error), code="quantlib-error")
        if of.find("base/amount"):
            results["change"] = results["price"] - of.number("base/amount")
        for name, amount in results.items():
            if name == "price" or analytics.find(name):
                analytics.set(f"{name}/amount", amount if isinstance(amount, str) else repr(amount))
        return parsed.toxml()
    raise Never(f"the instrument is none of {', '.join(KINDS)}", code="quantlib-no-instrument")
