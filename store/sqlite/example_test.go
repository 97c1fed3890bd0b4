package sqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/setpointhq/setpoint/resource"
	"github.com/setpointhq/setpoint/store"
	"github.com/setpointhq/setpoint/store/sqlite"
)

// A database is opened, an object is written, and a watch from the beginning delivers the commit.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "setpoint")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "setpoint.db")})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	o := &resource.Object{
		Meta: resource.Meta{Key: resource.Key{Kind: "Record.dns.example", Namespace: "shop", Name: "www"}, UID: "8f3a", Generation: 1, Created: time.Now()},
		Spec: []byte(`{"address":"192.0.2.1"}`),
	}
	receipt, err := s.Commit(ctx, store.Transaction{
		Writer:  store.Writer{Name: "api:ada"},
		Objects: []store.ObjectWrite{{Object: o}},
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = s.Commit(ctx, store.Transaction{Objects: []store.ObjectWrite{{Object: o}}})
	fmt.Println("again:", err)

	stream, err := s.Watch(ctx, receipt.Revision-1)
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	batch, err := stream.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("revision %d by %s: %s %s\n", batch.Revision, batch.Writer.Name, batch.Objects[0].Object.Key, batch.Objects[0].Object.Spec)
	// Output:
	// again: commit of Record.dns.example/shop/www: conflict: expected revision 0, it is at 1; read it again and repeat
	// revision 1 by api:ada: Record.dns.example/shop/www {"address":"192.0.2.1"}
}
