"""What a search decided: orders and transfers of today, and the tables of a plan."""
