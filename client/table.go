package client

import (
	"context"
	"net/http"
)

// Table is a list as the server formats it for people.
type Table struct {
	Version  Version
	Continue string
	Columns  []Column
	Rows     []Row
}

// Column describes the cells at its index.
type Column struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Format      string `json:"format"`
	Description string `json:"description"`
	// Priority above 0 hides the column unless a wide table is asked for.
	Priority int `json:"priority"`
}

// Row is one object.
type Row struct {
	// Cells are strings, float64, bool, nil, or nested values.
	Cells []any `json:"cells"`
	// Object carries at least the metadata.
	Object Object `json:"object"`
}

// wireTable is a table as it is served.
type wireTable struct {
	Metadata listMeta `json:"metadata"`
	Columns  []Column `json:"columnDefinitions"`
	Rows     []Row    `json:"rows"`
}

func (t *wireTable) table() *Table {
	return &Table{Version: t.Metadata.ResourceVersion, Continue: t.Metadata.Continue, Columns: t.Columns, Rows: t.Rows}
}

// Table reads a whole list as a table, page by page.
func (c *Client) Table(ctx context.Context, k Kind, o ListOptions) (*Table, error) {
	if o.Limit == 0 {
		o.Limit = PageSize
	}
	var all *Table
	for {
		var wire wireTable
		r := request{op: "list " + k.String(), method: http.MethodGet, path: k.path(o.Namespace), query: o.query(), accept: mediaTable, list: true}
		if err := c.read(ctx, r, &wire); err != nil {
			return nil, err
		}
		page := wire.table()
		if all != nil {
			page.Rows, page.Columns, page.Version = append(all.Rows, page.Rows...), all.Columns, all.Version
		}
		all = page
		if page.Continue == "" {
			return all, nil
		}
		o.Continue = page.Continue
	}
}

// Row reads one object as a table of one row. It fails with [ErrNotFound].
func (c *Client) Row(ctx context.Context, k Kind, ref Ref) (*Table, error) {
	var wire wireTable
	r := request{op: k.op("get", ref), method: http.MethodGet, path: k.at(ref), accept: mediaTable}
	if err := c.read(ctx, r, &wire); err != nil {
		return nil, err
	}
	return wire.table(), nil
}
