"""Problems with known answers, one module per family: rows of a table to instances, and plans to figures."""
