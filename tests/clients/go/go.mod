module walkthrough

go 1.23
