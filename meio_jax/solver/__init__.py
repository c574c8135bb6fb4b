"""Items and prices in turn: the item problems, what every step keeps of them, and the one loop."""
