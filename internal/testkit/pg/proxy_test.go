package pg

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/setpointhq/setpoint/internal/testkit"
)

// proxied is a database with a table, directly and behind a proxy.
type proxied struct {
	direct string // address
	proxy  *Proxy
}

func behindProxy(t *testing.T) proxied {
	t.Helper()
	s := Shared(t)
	p := proxied{direct: s.Database(t), proxy: NewProxy(t, s.Address())}
	if _, err := Query(t.Context(), p.direct, "CREATE TABLE kept (i int)"); err != nil {
		t.Fatal(err)
	}
	return p
}

// insert inserts a row by way of the proxy.
func (p proxied) insert(ctx context.Context) error {
	_, err := Query(ctx, p.proxy.URL(p.direct), "INSERT INTO kept VALUES (1)")
	return err
}

func (p proxied) rows(t *testing.T) int {
	t.Helper()
	rows, err := Query(t.Context(), p.direct, "SELECT 1 FROM kept")
	if err != nil {
		t.Fatal(err)
	}
	return len(rows)
}

// idle waits until the server has no other session in the database.
func (p proxied) idle(t *testing.T) {
	t.Helper()
	testkit.Wait(t, "the session has ended", func() bool {
		rows, err := Query(t.Context(), p.direct, "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
		return err == nil && len(rows) == 0
	})
}

func isInsert(m Message) bool { return strings.HasPrefix(m.SQL(), "INSERT") }

func completes(m Message) bool { return m.Type() == 'C' && strings.Contains(string(m), "INSERT") }

func TestProxyDoesToAMessageWhatItsHookSays(t *testing.T) {
	released := make(chan struct{})
	close(released)
	cases := []struct {
		name, reason string
		action       Action
		onServer     bool // about the server's "command complete", otherwise about the client's query
		fails        bool
		rows         int
	}{
		{"pass", "the hook only looks", Pass(), false, false, 1},
		{"delay", "the message arrives, later", Delay(released), false, false, 1},
		{"cut", "the query never arrives", Cut(), false, true, 0},
		{"cut within", "half a query is none", CutWithin(9), false, true, 0},
		{"deliver and cut", "the query is executed and its client does not learn of it", DeliverAndCut(), false, true, 1},
		{"cut then deliver", "the same, later", CutThenDeliver(released), false, true, 1},
		{"cut the reply", "the server has done it by then", Cut(), true, true, 1},
		{"cut within the reply", "half a reply is none", CutWithin(3), true, true, 1},
		{"pass the reply", "the hook only looks", Pass(), true, false, 1},
	}
	database := behindProxy(t).direct
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := proxied{direct: database, proxy: NewProxy(t, Shared(t).Address())}
			if _, err := Query(t.Context(), database, "TRUNCATE kept"); err != nil {
				t.Fatal(err)
			}
			calls := make(chan int, 10)
			hook := func(want func(Message) bool) Hook {
				return func(connection int, m Message) Action {
					if !want(m) {
						return Pass()
					}
					calls <- connection
					return c.action
				}
			}
			if c.onServer {
				p.proxy.OnServer(hook(completes))
			} else {
				p.proxy.OnClient(hook(isInsert))
			}
			if err := p.insert(t.Context()); (err != nil) != c.fails {
				t.Errorf("insert: %v (%s)", err, c.reason)
			}
			p.idle(t)
			if got := p.rows(t); got != c.rows {
				t.Errorf("%d rows, want %d: %s", got, c.rows, c.reason)
			}
			if len(calls) != 1 || <-calls != 1 {
				t.Error("the hook did not see the message once, on the first connection")
			}
		})
	}
}

func TestADroppedReplyIsNotSeen(t *testing.T) {
	p := behindProxy(t)
	p.proxy.OnServer(func(_ int, m Message) Action {
		if completes(m) {
			return Drop()
		}
		return Pass()
	})
	if err := p.insert(t.Context()); err != nil {
		t.Errorf("insert: %v: the message behind says that the server is ready", err)
	}
	if got := p.rows(t); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
}

func TestBytesArriveAfterTheirSenderHasGone(t *testing.T) {
	p := behindProxy(t)
	until := make(chan struct{})
	p.proxy.OnClient(func(_ int, m Message) Action {
		if isInsert(m) {
			return CutThenDeliver(until)
		}
		return Pass()
	})
	if err := p.insert(t.Context()); err == nil {
		t.Error("insert: no error, though the connection was reset")
	}
	if got := p.rows(t); got != 0 {
		t.Errorf("%d rows before the bytes were let go", got)
	}
	close(until)
	testkit.Wait(t, "the row is there", func() bool { return p.rows(t) == 1 })
}

func TestPauseHoldsBytesAlsoWhenTheirSenderGivesUp(t *testing.T) {
	p := behindProxy(t)
	connection, err := pgconn.Connect(t.Context(), p.proxy.URL(p.direct))
	if err != nil {
		t.Fatal(err)
	}
	client, err := connection.Hijack() // pgx would wait for the server's farewell
	if err != nil {
		t.Fatal(err)
	}
	p.proxy.Pause(ToServer)
	sent := make(chan struct{})
	p.proxy.OnClient(func(_ int, m Message) Action {
		if isInsert(m) {
			close(sent)
		}
		return Pass()
	})
	client.Frontend.Send(&pgproto3.Query{String: "INSERT INTO kept VALUES (1)"})
	if err := client.Frontend.Flush(); err != nil {
		t.Fatal(err)
	}
	<-sent
	if err := client.Conn.Close(); err != nil {
		t.Error(err)
	}
	if got := p.rows(t); got != 0 {
		t.Errorf("%d rows during the pause", got)
	}
	p.proxy.Resume()
	testkit.Wait(t, "the row is there", func() bool { return p.rows(t) == 1 })
	p.idle(t)
}

func TestPauseOfOneWayLetsTheOtherPass(t *testing.T) {
	p := behindProxy(t)
	inserted := make(chan error)
	go func() {
		connection, err := pgconn.Connect(t.Context(), p.proxy.URL(p.direct))
		if err != nil {
			inserted <- err
			return
		}
		p.proxy.Pause(ToClient)
		_, err = connection.Exec(t.Context(), "INSERT INTO kept VALUES (1)").ReadAll()
		inserted <- err
		inserted <- connection.Close(t.Context())
	}()
	testkit.Wait(t, "the row is there", func() bool { return p.rows(t) == 1 })
	select {
	case err := <-inserted:
		t.Errorf("the client has an answer during the pause: %v", err)
	default:
	}
	p.proxy.Resume(ToClient)
	for range 2 {
		if err := <-inserted; err != nil {
			t.Error(err)
		}
	}
}

func TestCutResetsAllConnectionsAndTakesNewOnes(t *testing.T) {
	p := behindProxy(t)
	var connections []*pgconn.PgConn
	for range 3 {
		connection, err := pgconn.Connect(t.Context(), p.proxy.URL(p.direct))
		if err != nil {
			t.Fatal(err)
		}
		connections = append(connections, connection)
	}
	if got := p.proxy.Open(); got != 3 {
		t.Errorf("%d open connections, want 3", got)
	}
	if got := p.proxy.Accepted(); got != 3 {
		t.Errorf("accepted %d, want 3", got)
	}
	p.proxy.Cut()
	for i, connection := range connections {
		if err := connection.Ping(t.Context()); err == nil {
			t.Errorf("connection %d is still there", i+1)
		}
	}
	testkit.Wait(t, "the proxy has none open", func() bool { return p.proxy.Open() == 0 })
	if err := p.insert(t.Context()); err != nil {
		t.Errorf("a new connection: %v", err)
	}
}

func TestProxyRefusesEncryptionAndFollowsItsTarget(t *testing.T) {
	p := behindProxy(t)
	address := p.proxy.URL(p.direct)
	if _, err := Query(t.Context(), strings.Replace(address, "sslmode=disable", "sslmode=prefer", 1), "SELECT 1"); err != nil {
		t.Errorf("a client that would like encryption: %v", err)
	}
	if _, err := Query(t.Context(), strings.Replace(address, "sslmode=disable", "sslmode=require", 1), "SELECT 1"); err == nil {
		t.Error("a client that insists on encryption was served")
	}
	p.proxy.Retarget("127.0.0.1:1")
	if err := p.insert(t.Context()); err == nil {
		t.Error("a server answers at a port where none is")
	}
	p.proxy.Retarget(Shared(t).Address())
	if err := p.insert(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWhatIsDeliveredIsNotCancelledByItsClient(t *testing.T) {
	p := behindProxy(t)
	connection, err := pgconn.Connect(t.Context(), p.proxy.URL(p.direct))
	if err != nil {
		t.Fatal(err)
	}
	p.proxy.OnClient(func(_ int, m Message) Action {
		if isInsert(m) {
			return DeliverAndCut()
		}
		return Pass()
	})
	lock, err := pgconn.Connect(t.Context(), p.direct)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), "BEGIN; LOCK TABLE kept").ReadAll(); err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Exec(t.Context(), "INSERT INTO kept VALUES (1)").ReadAll(); err == nil {
		t.Error("the client has an answer")
	}
	<-connection.CleanupDone() // it has asked to cancel
	if got := p.proxy.Accepted(); got != 2 {
		t.Errorf("%d connections, want the client's and its request to cancel", got)
	}
	if _, err := lock.Exec(t.Context(), "COMMIT").ReadAll(); err != nil {
		t.Error(err)
	}
	if err := lock.Close(t.Context()); err != nil {
		t.Error(err)
	}
	p.idle(t)
	if got := p.rows(t); got != 1 {
		t.Errorf("%d rows, want 1", got)
	}
}
