package sqlite

func childRole() bool { return false }
