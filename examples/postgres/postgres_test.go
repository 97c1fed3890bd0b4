package postgres

import "testing"

func TestKinds(t *testing.T) { t.Log(len(Kinds())) }
