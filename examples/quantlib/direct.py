"""The trades of the test, and their values from QuantLib called directly: nothing of the worker is used."""
import random
from datetime import date, timedelta

import QuantLib as ql

TODAY = date(2026, 11, 24)
ZEROS = {"1M": 0.0205, "6M": 0.0208, "1Y": 0.021, "2Y": 0.0215, "5Y": 0.0235, "10Y": 0.0262, "30Y": 0.028}
DEPOSIT, SWAPS = 0.0225, {"2Y": 0.0232, "5Y": 0.0251, "10Y": 0.0278, "30Y": 0.0291}
SPOT, VOLATILITY, DIVIDEND = 101.5, 0.22, 0.012


def trades(count, seed=28):
    """As many trades, of the four kinds in turn: pairs of kind and terms."""
    chance = random.Random(seed)
    for number in range(count):
        kind = ("fixedRateBond", "floatingRateNote", "swap", "europeanOption")[number % 4]
        start = TODAY - timedelta(days=chance.randint(400, 1500))
        end = TODAY + timedelta(days=chance.randint(200, 9000))
        yield kind, {"amount": 1000 * chance.randint(1, 5000), "rate": round(chance.uniform(0.005, 0.06), 5),
                     "spread": round(chance.uniform(0, 0.02), 4), "frequency": chance.choice([1, 2, 4]),
                     "side": chance.choice([0, 1]), "strike": chance.randint(60, 160), "start": start, "end": end}


def element(kind, t):
    """A trade as the element of a request."""
    dates = lambda first: f"<{first}><date>{t['start']}</date></{first}><maturity><date>{t['end']}</date></maturity>"  # noqa: E731
    curve = "<curve>EUR-OIS</curve>"
    return {
        "fixedRateBond": lambda: f"<fixedRateBond><principal>{t['amount']}</principal><coupon><rate>{t['rate']}</rate>"
                                 f"<frequency>{t['frequency']}</frequency></coupon>{dates('issue')}{curve}</fixedRateBond>",
        "floatingRateNote": lambda: f"<floatingRateNote><principal>{t['amount']}</principal><index>EURIBOR-6M</index>"
                                    f"<spread>{t['spread']}</spread>{dates('issue')}{curve}</floatingRateNote>",
        "swap": lambda: f"<swap><notional>{t['amount']}</notional><type>{('payer', 'receiver')[t['side']]}</type><fixed><rate>{t['rate']}</rate>"
                        f"<frequency>{t['frequency']}</frequency></fixed><index>EURIBOR-6M</index>{dates('effective')}{curve}</swap>",
        "europeanOption": lambda: f"<europeanOption><type>{('call', 'put')[t['side']]}</type><strike>{t['strike']}</strike><expiry><date>{t['end']}</date></expiry>"
                                  f"<quantity>{t['amount']}</quantity><underlying>ACME</underlying>{curve}</europeanOption>",
    }[kind]()


FIXINGS = {}  # of EURIBOR-6M, for every day on which a coupon that is under way may have been fixed


def fixings():
    calendar, day = ql.TARGET(), ql.Date(1, 5, 2026)
    while day < ql.Date(24, 11, 2026):
        if calendar.isBusinessDay(day):
            FIXINGS[day.ISO()] = round(0.02 + (day.serialNumber() % 97) / 10_000, 5)
        day += 1
    return FIXINGS


def values(chosen, shift=0.0):
    """The value of every trade, with this much on every zero rate."""
    to_ql = lambda d: ql.Date(d.day, d.month, d.year)  # noqa: E731
    today, calendar = to_ql(TODAY), ql.TARGET()
    ql.Settings.instance().evaluationDate = today
    dates = [today] + [today + ql.Period(tenor) for tenor in ZEROS]
    ois = ql.ZeroCurve(dates, [ZEROS["1M"], *ZEROS.values()], ql.Actual365Fixed(), calendar, ql.Linear(), ql.Continuous)
    quote = lambda value: ql.QuoteHandle(ql.SimpleQuote(value))  # noqa: E731
    helpers = [ql.DepositRateHelper(quote(DEPOSIT), ql.Period("6M"), 2, calendar, ql.ModifiedFollowing, False, ql.Actual360())]
    helpers += [ql.SwapRateHelper(quote(rate), ql.Period(tenor), calendar, ql.Annual, ql.ModifiedFollowing,
                                  ql.Thirty360(ql.Thirty360.BondBasis), ql.Euribor6M()) for tenor, rate in SWAPS.items()]
    forecast = ql.PiecewiseLogLinearDiscount(today, helpers, ql.Actual365Fixed())
    for curve in (ois, forecast):
        curve.enableExtrapolation()
    if shift:
        ois, forecast = (ql.ZeroSpreadedTermStructure(ql.YieldTermStructureHandle(curve), quote(shift)) for curve in (ois, forecast))
        for curve in (ois, forecast):
            curve.enableExtrapolation()
    discounting, forecasting = ql.YieldTermStructureHandle(ois), ql.YieldTermStructureHandle(forecast)
    index = ql.IborIndex("EURIBOR-6M", ql.Period("6M"), 2, ql.EURCurrency(), calendar, ql.ModifiedFollowing, False, ql.Actual360(), forecasting)
    index.clearFixings()
    for day, rate in FIXINGS.items():
        index.addFixing(ql.DateParser.parseISO(day), rate)
    flat = ql.FlatForward(today, DIVIDEND, ql.Actual365Fixed(), ql.Continuous)
    process = ql.BlackScholesMertonProcess(quote(SPOT), ql.YieldTermStructureHandle(flat), discounting, ql.BlackVolTermStructureHandle(
        ql.BlackConstantVol(today, calendar, VOLATILITY, ql.Actual365Fixed())))

    def dates_of(t, months):
        return ql.Schedule(to_ql(t["start"]), to_ql(t["end"]), ql.Period(months, ql.Months), calendar, ql.ModifiedFollowing,
                           ql.ModifiedFollowing, ql.DateGeneration.Backward, False)

    def value(kind, t):
        if kind == "fixedRateBond":
            bond = ql.FixedRateBond(2, 100.0, dates_of(t, 12 // t["frequency"]), [t["rate"]], ql.ActualActual(ql.ActualActual.ISMA))
        elif kind == "floatingRateNote":
            bond = ql.FloatingRateBond(2, 100.0, dates_of(t, 6), index, ql.Actual360(), ql.ModifiedFollowing, 2, [1.0], [t["spread"]])
            ql.setCouponPricer(bond.cashflows(), ql.BlackIborCouponPricer())
        elif kind == "swap":
            made = ql.VanillaSwap((ql.Swap.Payer, ql.Swap.Receiver)[t["side"]], t["amount"], dates_of(t, 12 // t["frequency"]), t["rate"],
                                  ql.Thirty360(ql.Thirty360.European), dates_of(t, 6), index, 0.0, ql.Actual360())
            made.setPricingEngine(ql.DiscountingSwapEngine(discounting))
            return made.NPV()
        else:
            payoff = ql.PlainVanillaPayoff((ql.Option.Call, ql.Option.Put)[t["side"]], t["strike"])
            option = ql.VanillaOption(payoff, ql.EuropeanExercise(to_ql(t["end"])))
            option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
            return option.NPV() * t["amount"]
        bond.setPricingEngine(ql.DiscountingBondEngine(discounting))
        return bond.NPV() * t["amount"] / 100

    return [value(kind, t) for kind, t in chosen]
