"""ORE run directly on files, as from its command line: python direct.py FOLDER PORTFOLIO. Prints the values as JSON.

FOLDER gets the files of market.xml and ore.xml. Nothing of the worker is used.
"""
import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import ORE

HERE = Path(__file__).resolve().parent
FILES = {"CurveConfiguration": "curveconfig.xml", "Conventions": "conventions.xml", "TodaysMarket": "todaysmarket.xml",
         "PricingEngines": "pricingengine.xml", "quotes": "market.txt", "fixings": "fixings.txt"}


def main(folder, portfolio):
    folder = Path(folder)
    for element in ET.parse(HERE / "market.xml").getroot():
        lines = element.tag in ("quotes", "fixings")
        (folder / FILES[element.tag]).write_text(element.text.strip() if lines else ET.tostring(element, encoding="unicode"))
    names = {"asofDate": "2026-11-24", "inputPath": folder, "outputPath": folder, "logFile": "log.txt", "logMask": 31,
             "marketDataFile": "market.txt", "fixingDataFile": "fixings.txt", "curveConfigFile": "curveconfig.xml",
             "conventionsFile": "conventions.xml", "marketConfigFile": "todaysmarket.xml",
             "pricingEnginesFile": "pricingengine.xml", "portfolioFile": portfolio, "observationModel": "None"}
    setup = "".join(f'<Parameter name="{name}">{value}</Parameter>' for name, value in names.items())
    npv = "".join(f'<Parameter name="{n}">{v}</Parameter>' for n, v in (("active", "Y"), ("baseCurrency", "EUR"), ("outputFileName", "npv.csv")))
    markets = '<Parameter name="pricing">default</Parameter>'
    (folder / "ore.xml").write_text(f"<ORE><Setup>{setup}</Setup><Markets>{markets}</Markets><Analytics>"
                                    f'<Analytic type="npv">{npv}</Analytic></Analytics></ORE>')
    parameters = ORE.Parameters()
    parameters.fromFile(str(folder / "ore.xml"))
    app = ORE.OREApp(parameters, False)
    app.run()
    report = app.getReport("npv")
    columns = {report.header(n): n for n in range(report.columns())}
    values = zip(report.dataAsString(columns["TradeId"]), report.dataAsString(columns["TradeType"]),
                 report.dataAsReal(columns["NPV"]), report.dataAsReal(columns["NPV(Base)"]))
    print(json.dumps({trade: [kind, npv, base] for trade, kind, npv, base in values}))


main(*sys.argv[1:])
