"""The sections of a report, one file each: a function from the data of a run to markup."""
