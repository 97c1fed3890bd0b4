package wait

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if !For(t.Context(), time.Hour) || time.Since(begun) != time.Hour {
			t.Errorf("it waited %s", time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begun = time.Now()
		if For(ctx, time.Hour) || time.Since(begun) != time.Minute {
			t.Errorf("it waited %s for what nobody wanted any more", time.Since(begun))
		}
	})
}
