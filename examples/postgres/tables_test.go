package postgres

import (
	"testing"

	"github.com/setpointhq/setpoint/decide"
)

// TestClaims proves what the tables promise, in every state with every combination of signals that can stand there, whatever the guards say.
func TestClaims(t *testing.T) {
	for _, c := range []struct {
		reason string
		claim  decide.Claim
	}{
		{"a replica that is told to leave leaves, whatever else is asked", decide.Leads(NeedsUnfollow, "Unfollow").Within(Available)},
		{"going back to a backup comes before everything", decide.Leads(NeedsRestore, "Restore").Within(Provisioned)},
		{"what does not answer is not told to leave", decide.Never("Unfollow").Within(Uncertain, Unavailable)},
		{"nobody is taken back while the service is in trouble", decide.Never("Follow").Within(Uncertain, Unavailable)},
		{"no promotion unless it is asked for", decide.Never("Promote").Within(Provisioned).Unless(NeedsPromote)},
	} {
		if err := decide.Always(databaseLife, databaseTable, c.claim); err != nil {
			t.Errorf("database: %s: %v", c.reason, err)
		}
	}
	for _, c := range []struct {
		reason string
		claim  decide.Claim
	}{
		{"a server can always be asked how far its log goes", decide.Leads(NeedsInspect, "Inspect").Within(Provisioned)},
		{"a server that answers is not given up", decide.Never("GiveUp").With(Seen).Within(Uncertain).Unless(Missed)},
		{"a server that answers is not restarted for repair", decide.Never("Restart").Within(Available, Uncertain).Unless(NeedsRestart)},
		{"one that checks in again is trusted again", decide.Leads(Seen, "Trust").Within(Uncertain, Unavailable).
			Unless(Missed, NeedsInspect, NeedsFollow, NeedsRestart, NeedsRepair, Silent)},
	} {
		if err := decide.Always(serverLife, serverTable, c.claim); err != nil {
			t.Errorf("server: %s: %v", c.reason, err)
		}
	}
}
