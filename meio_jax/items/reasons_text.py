"""What the reasons of a change of orders are called."""

WORDS = {
    "forecast": "forecast",
    "stock": "stock and what is on order",
    "costs": "items' costs and offers",
    "decisions": "assortment, overrides and frozen orders",
    "prices": "prices of capacity",
    "day": "another day or network",
    "rest": "levels found by the search",
    "assortment": "items that one run lacks",
    "not analysed": "not analysed",
}
