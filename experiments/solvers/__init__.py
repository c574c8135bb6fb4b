"""Other solvers to compare with: linear programs by HiGHS, and stockpyl's simulation."""
