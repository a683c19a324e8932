"""The market of a valuation: curves, indices and underlyings, made when a trade wants them."""
import QuantLib as ql

from fanfold.worker import Never

DAY_COUNTS = {
    "Actual360": lambda: ql.Actual360(),
    "Actual365Fixed": lambda: ql.Actual365Fixed(),
    "ActualActualISDA": lambda: ql.ActualActual(ql.ActualActual.ISDA),
    "ActualActualICMA": lambda: ql.ActualActual(ql.ActualActual.ISMA),
    "30E360": lambda: ql.Thirty360(ql.Thirty360.European),
}
CALENDAR = ql.TARGET()


def day(of):
    return ql.Date(of.day, of.month, of.year)


class Market:
    last = None, None  # The market of the task before, and what was read for it.

    @classmethod
    def of(cls, valuation):
        """The market of a valuation. Most tasks have that of the one before, and its curves are made once."""
        read = valuation.get("market").element.toxml(), valuation.date("analytics/evaluation")
        if cls.last[0] != read:
            cls.last = read, cls(valuation)
        return cls.last[1]

    def __init__(self, valuation):
        self.node, self.made = valuation.get("market"), {}
        self.date = day(valuation.date("analytics/evaluation"))
        ql.Settings.instance().evaluationDate = self.date

    def curve(self, name):
        """A curve by its name, with its `shift` added to every zero rate."""
        if name not in self.made:
            node = self.node.named("curve", name)
            made = self._curve(node)
            made.enableExtrapolation()
            shift = float(node.attribute("shift", "0"))
            if shift:
                handle = ql.YieldTermStructureHandle(made)
                made = ql.ZeroSpreadedTermStructure(handle, ql.QuoteHandle(ql.SimpleQuote(shift)))
                made.enableExtrapolation()
            self.made[name] = ql.YieldTermStructureHandle(made)
        return self.made[name]

    def _curve(self, node):
        day_count = DAY_COUNTS[node.attribute("dayCount", "Actual365Fixed")]()
        zeros, quotes = node.children("zero"), node.children("deposit") + node.children("swap")
        if flat := node.find("flat"):
            return ql.FlatForward(self.date, float(flat.attribute("rate")), day_count, ql.Continuous)
        if zeros:
            nodes = sorted((self.date + ql.Period(z.attribute("tenor")), float(z.attribute("rate"))) for z in zeros)
            dates, rates = zip((self.date, nodes[0][1]), *nodes)
            return ql.ZeroCurve(list(dates), list(rates), day_count, CALENDAR, ql.Linear(), ql.Continuous)
        if quotes:
            return ql.PiecewiseLogLinearDiscount(self.date, [self._helper(quote) for quote in quotes], day_count)
        raise Never(f"the curve '{node.attribute('name')}' has neither flat, zero, deposit nor swap", code="quantlib-missing")

    def _helper(self, quote):
        rate = ql.QuoteHandle(ql.SimpleQuote(float(quote.attribute("rate"))))
        tenor = ql.Period(quote.attribute("tenor"))
        if quote.path.endswith("deposit"):
            return ql.DepositRateHelper(rate, tenor, 2, CALENDAR, ql.ModifiedFollowing, False, ql.Actual360())
        thirty = ql.Thirty360(ql.Thirty360.BondBasis)
        return ql.SwapRateHelper(rate, tenor, CALENDAR, ql.Annual, ql.ModifiedFollowing, thirty, ql.Euribor6M())

    def index(self, name):
        """An index of the interbank market: what it fixed is in the document, and its curve says the rest."""
        node = self.node.named("index", name)
        index = ql.IborIndex(name, ql.Period(node.attribute("tenor")), int(node.attribute("fixingDays", "2")), ql.EURCurrency(),
                             CALENDAR, ql.ModifiedFollowing, False, DAY_COUNTS[node.attribute("dayCount", "Actual360")](),
                             self.curve(node.attribute("curve")))
        index.clearFixings()  # QuantLib keeps fixings by the name of the index, for the whole process.
        for fixing in node.children("fixing"):
            index.addFixing(ql.DateParser.parseISO(fixing.attribute("date")), float(fixing.attribute("rate")))
        return index

    def black_scholes(self, name, curve):
        node, day_count = self.node.named("underlying", name), ql.Actual365Fixed()
        volatility = ql.BlackConstantVol(self.date, CALENDAR, node.number("volatility"), day_count)
        dividend = ql.FlatForward(self.date, node.number("dividend", 0), day_count, ql.Continuous)
        return ql.BlackScholesMertonProcess(ql.QuoteHandle(ql.SimpleQuote(node.number("spot"))),
                                            ql.YieldTermStructureHandle(dividend), self.curve(curve),
                                            ql.BlackVolTermStructureHandle(volatility))
