"""pandas as it is used: tables of numbers and strings, grouped, merged, sorted and pivoted, with large blocks from malloc.

Prints checksums of its results, which no allocator may change."""
import numpy
import pandas

ROWS = 150_000

numbers = numpy.random.RandomState(7)
sales = pandas.DataFrame({
    "shop": numbers.randint(0, 500, ROWS),
    "item": numbers.randint(0, 9000, ROWS),
    "day": numbers.randint(0, 365, ROWS),
    "pieces": numbers.randint(1, 20, ROWS),
})
items = pandas.DataFrame({"item": numpy.arange(9000), "name": [f"item {n * 7919 % 9001}" for n in range(9000)],
                          "cents": numbers.randint(10, 5000, 9000)})
for round in range(4):
    joined = sales.merge(items, on="item")
    joined["total"] = joined.pieces * joined.cents + round
    by_shop = joined.groupby(["shop", "day"]).total.sum().reset_index()
    table = by_shop.pivot(index="shop", columns="day", values="total").fillna(0)
    best = joined.sort_values(["total", "shop", "day", "item"]).tail(40_000)
    print(len(by_shop), int(table.to_numpy().sum()), int(best.pieces.sum()), best.name.str.len().sum())
    sales = pandas.concat([sales.iloc[ROWS // 5:], best[["shop", "item", "day", "pieces"]].head(ROWS // 5)])
