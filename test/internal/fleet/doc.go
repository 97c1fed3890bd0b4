// Package fleet looks at managed databases from outside: as the API tells of them, and as their servers say themselves.
//
//	f := fleet.Find(t, client, folderOfTheServers)
//	d, missing := f.Unrest(ctx, "orders", nil) // "" when the database is as it should be, and its servers say the same
//	all, err := f.Of(ctx, "orders")            // its servers, by name
//	url := f.Credential("orders", "app")       // a role that may connect
//
// Nothing of the service is imported but the types of its specs and the names of its states.
package fleet
