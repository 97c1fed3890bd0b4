package postgres

import (
	"testing"

	"github.com/setpointhq/setpoint/decide"
)

// promise is what a table promises, in every state with every combination of signals that can stand there, whatever the guards say.
type promise struct {
	reason string
	claim  decide.Claim
}

var databaseTableClaims = []promise{
	{"a replica that is told to leave leaves, whatever else is asked", decide.Leads(NeedsUnfollow, "Unfollow").Within(Available)},
	{"going back to a backup comes before everything", decide.Leads(NeedsRestore, "Restore").Within(Provisioned)},
	{"what does not answer is not told to leave", decide.Never("Unfollow").Within(Uncertain, Unavailable)},
	{"nobody is taken back while the service is in trouble", decide.Never("Follow").Within(Uncertain, Unavailable)},
	{"no promotion unless it is asked for", decide.Never("Promote").Within(Provisioned).Unless(NeedsPromote)},
	{"who left is taken back, unless another server is to lead", decide.Leads(NeedsFollow, "Follow").Within(Available).Unless(NeedsRestore, NeedsPromote)},
	{"nobody is taken back while another server is to lead", decide.Never("Follow").With(NeedsPromote).Within(Available)},
	{"a restart is made when nothing more urgent is asked for", decide.Leads(NeedsRestart, "Restart").Within(Available).Unless(NeedsRestore, NeedsPromote, NeedsUnfollow, NeedsFollow)},
	{"parameters are applied when nothing else is asked for", decide.Leads(NeedsParameters, "Apply").Within(Available).Unless(NeedsRestore, NeedsPromote, NeedsUnfollow, NeedsFollow, NeedsRestart)},
	{"parameters do not come before another server that is to lead", decide.Never("Apply").With(NeedsPromote).Within(Provisioned)},
	{"no restart unless it is asked for, or nobody else can lead", decide.Never("Restart").Within(Provisioned).Unless(NeedsRestart, NeedsPromote)},
	{"what does not answer is not restarted because somebody had asked before", decide.Never("Restart").Within(Uncertain, Unavailable).Unless(NeedsPromote)},
	{"what does not answer is given no parameters", decide.Never("Apply").Within(Uncertain, Unavailable)},
	{"no parameters are applied unless it is asked for", decide.Never("Apply").Within(Available).Unless(NeedsParameters)},
	{"nobody is taken back unless it is asked for", decide.Never("Follow").Within(Available).Unless(NeedsFollow)},
	{"nobody leaves unless it is asked for", decide.Never("Unfollow").Within(Available).Unless(NeedsUnfollow)},
	{"no restoration unless it is asked for", decide.Never("Restore").Within(Provisioned).Unless(NeedsRestore)},
	{"nothing is done to what is not there yet", decide.Never("Restart").Within(Provisioning)},
}

var serverTableClaims = []promise{
	{"a server can always be asked how far its log goes", decide.Leads(NeedsInspect, "Inspect").Within(Provisioned)},
	{"a server that answers is not given up", decide.Never("GiveUp").With(Seen).Within(Uncertain).Unless(Missed)},
	{"a server that answers is not restarted for repair", decide.Never("Restart").Within(Available, Uncertain).Unless(NeedsRestart)},
	{"one that checks in again is trusted again", decide.Leads(Seen, "Trust").Within(Uncertain, Unavailable).
		Unless(Missed, Adrift, NeedsInspect, NeedsFollow, NeedsRestart, Silent)},
	{"what answers again is not repaired", decide.Never("Restart").With(Seen).Within(Unavailable).Unless(Missed, NeedsRestart)},
	{"what answers is not trusted anew", decide.Never("Trust").Within(Available)},
	{"nobody is trusted who was not seen", decide.Never("Trust").Within(Uncertain, Unavailable).Unless(Seen)},
	{"nobody is asked how far its log goes unless somebody wants to know", decide.Never("Inspect").Within(Provisioned).Unless(NeedsInspect)},
	{"nobody is doubted who was not missed", decide.Never("Doubt").Within(Available).Unless(Missed)},
	{"nobody is given up before it was silent for long", decide.Never("GiveUp").Within(Uncertain).Unless(Silent)},
	{"nobody is given up at once, or twice", decide.Never("GiveUp").Within(Available, Unavailable)},
	{"nobody follows another one unless it is to, or receives nothing", decide.Never("Follow").Within(Provisioned).Unless(NeedsFollow, Adrift)},
	{"no restart unless it is asked for, or for repair", decide.Never("Restart").Within(Unavailable).Unless(NeedsRestart, NeedsRepair)},
	{"a restart is made, whatever is heard meanwhile", decide.Leads(NeedsRestart, "Restart").Within(Provisioned).Unless(NeedsInspect, NeedsFollow, Silent)},
	{"one that is missed is doubted, also when it receives nothing", decide.Leads(Missed, "Doubt").Within(Available).
		Unless(Seen, NeedsInspect, NeedsFollow, NeedsRestart, NeedsRepair, Silent)},
	{"one that is silent for long is given up, also when it receives nothing", decide.Leads(Silent, "GiveUp").Within(Uncertain).
		Unless(Seen, Missed, NeedsInspect, NeedsFollow, NeedsRestart, NeedsRepair)},
}

func claimsOf(promises []promise) (claims []decide.Claim) {
	for _, p := range promises {
		claims = append(claims, p.claim)
	}
	return claims
}

func TestClaims(t *testing.T) {
	for _, p := range databaseTableClaims {
		if err := decide.Always(databaseLife, databaseTable, p.claim); err != nil {
			t.Errorf("database: %s: %v", p.reason, err)
		}
	}
	for _, p := range serverTableClaims {
		if err := decide.Always(serverLife, serverTable, p.claim); err != nil {
			t.Errorf("server: %s: %v", p.reason, err)
		}
	}
}
