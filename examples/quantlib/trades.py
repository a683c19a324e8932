"""The trades. Each function gives the results of one: `price` always, the others where they are asked for."""
from decimal import ROUND_HALF_EVEN, Decimal

import QuantLib as ql

from market import CALENDAR, DAY_COUNTS, day

FREQUENCIES = {"1": ql.Annual, "2": ql.Semiannual, "4": ql.Quarterly, "12": ql.Monthly}


def schedule(start, end, tenor):
    return ql.Schedule(day(start), day(end), tenor, CALENDAR, ql.ModifiedFollowing, ql.ModifiedFollowing,
                       ql.DateGeneration.Backward, False)


def every(trade, path):
    return ql.Period(trade.choice(FREQUENCIES, path, "1"))


def bond_results(bond, market, trade):
    principal = trade.number("principal")
    bond.setPricingEngine(ql.DiscountingBondEngine(market.curve(trade.text("curve"))))
    return {"price": bond.NPV() * principal / 100, "cleanPrice": bond.cleanPrice(),
            "accruedInterest": bond.accruedAmount() * principal / 100}


def fixed_rate_bond(trade, market, _):
    dates = schedule(trade.date("issue"), trade.date("maturity"), every(trade, "coupon/frequency"))
    day_count = trade.choice(DAY_COUNTS, "dayCount", "ActualActualICMA")()
    bond = ql.FixedRateBond(int(trade.number("settlementDays", 2)), 100.0, dates, [trade.number("coupon/rate")], day_count)
    return bond_results(bond, market, trade)


def floating_rate_note(trade, market, _):
    index = market.index(trade.text("index"))
    dates = schedule(trade.date("issue"), trade.date("maturity"), index.tenor())
    bond = ql.FloatingRateBond(int(trade.number("settlementDays", 2)), 100.0, dates, index, index.dayCounter(),
                               ql.ModifiedFollowing, index.fixingDays(), [1.0], [trade.number("spread", 0)])
    ql.setCouponPricer(bond.cashflows(), ql.BlackIborCouponPricer())
    return bond_results(bond, market, trade)


def swap(trade, market, _):
    index = market.index(trade.text("index"))
    start, end = trade.date("effective"), trade.date("maturity")
    pays = trade.choice({"payer": ql.Swap.Payer, "receiver": ql.Swap.Receiver}, "type")
    made = ql.VanillaSwap(pays, trade.number("notional"), schedule(start, end, every(trade, "fixed/frequency")),
                          trade.number("fixed/rate"), trade.choice(DAY_COUNTS, "fixed/dayCount", "30E360")(),
                          schedule(start, end, index.tenor()), index, trade.number("spread", 0), index.dayCounter())
    made.setPricingEngine(ql.DiscountingSwapEngine(market.curve(trade.text("curve"))))
    return {"price": made.NPV(), "fairRate": made.fairRate()}


def european_option(trade, market, _):
    kind = trade.choice({"call": ql.Option.Call, "put": ql.Option.Put}, "type")
    option = ql.VanillaOption(ql.PlainVanillaPayoff(kind, trade.number("strike")), ql.EuropeanExercise(day(trade.date("expiry"))))
    option.setPricingEngine(ql.AnalyticEuropeanEngine(market.black_scholes(trade.text("underlying"), trade.text("curve"))))
    quantity = trade.number("quantity", 1)
    return {name: quantity * getattr(option, of)()
            for name, of in (("price", "NPV"), ("delta", "delta"), ("gamma", "gamma"), ("vega", "vega"))}


def reference(amortises):
    """The bond and the loan of Fanfold's `reference` executor: a flat yield, compounded at the trade's
    frequency, with simple interest for the broken first period. QuantLib makes the cash flows and
    discounts them; the curve has exactly these discount factors at the payment dates."""
    def value(trade, market, of):
        rate_path, frequency_path = ("rate", "frequency") if amortises else ("coupon/rate", "coupon/frequency")
        frequency = int(trade.number(frequency_path, 1))
        today, rate, principal = market.date, trade.number(rate_path), trade.number("principal")
        period = ql.Period(12 // frequency, ql.Months)
        end = day(trade.date("maturity")) if trade.find("maturity") else today + ql.Period(round(12 * trade.number("term")), ql.Months)
        dates, back = [end], 0
        while dates[0] > today:
            back += 1
            dates.insert(0, end - ql.Period(back * 12 // frequency, ql.Months))
        n = len(dates) - 1
        made = ql.Schedule(dates, ql.NullCalendar(), ql.Unadjusted, ql.Unadjusted, period, ql.DateGeneration.Backward, False, [True] * n)
        day_count, c = ql.ActualActual(ql.ActualActual.ISMA, made), rate / frequency
        if amortises:
            left = [principal * (1 - ((1 + c) ** k - 1) / ((1 + c) ** n - 1) if c else 1 - k / n) for k in range(n)]
            bond = ql.AmortizingFixedRateBond(0, left, made, [rate], day_count, ql.Unadjusted)
        else:
            bond = ql.FixedRateBond(0, principal, made, [rate], day_count, ql.Unadjusted)
        i, w = market.node.number("rate") / frequency, (dates[1] - today) / (dates[1] - dates[0])
        factors = [1.0] + [1 / ((1 + w * i) * (1 + i) ** k) for k in range(n)]
        curve = ql.DiscountCurve([today, *dates[1:]], factors, ql.Actual365Fixed())
        bond.setPricingEngine(ql.DiscountingBondEngine(ql.YieldTermStructureHandle(curve)))
        accrued = bond.accruedAmount(today) * left[0] / 100 if amortises else bond.accruedAmount(today) * principal / 100
        return {"price": _cents(bond.NPV() - accrued), "accruedInterest": _cents(accrued)}
    return value


def _cents(amount):
    return str(Decimal(repr(amount)).quantize(Decimal("0.01"), ROUND_HALF_EVEN))


KINDS = {"fixedRateBond": fixed_rate_bond, "floatingRateNote": floating_rate_note, "swap": swap,
         "europeanOption": european_option, "bond": reference(False), "loan": reference(True)}
