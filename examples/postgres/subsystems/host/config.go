package host

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Managed are the settings that are the host's, and why.
var Managed = map[string]string{
	"listen_addresses": "the host says where servers listen", "port": "the host gives ports", "unix_socket_directories": "it is the host's own way in",
	"cluster_name": "the host finds processes by it", "data_directory": "the host keeps the data", "hba_file": "the host says who may come",
	"ident_file": "the host says who may come", "external_pid_file": "the host keeps the processes", "config_file": "the host writes it",
	"primary_conninfo": "use follow", "primary_slot_name": "use follow", "restore_command": "the host keeps the archive",
	"archive_mode": "the host keeps the archive", "archive_command": "the host keeps the archive", "archive_library": "the host keeps the archive",
	"synchronous_standby_names": "use synchronous", "wal_level": "standbys need it as it is", "hot_standby": "health is asked for on standbys too",
	"wal_log_hints": "rewinding needs it", "full_page_writes": "rewinding needs it", "fsync": "what is acknowledged must be durable",
	"recovery_target": "use restore", "recovery_target_time": "use restore", "recovery_target_lsn": "use restore", "recovery_target_name": "use restore",
	"recovery_target_xid": "use restore", "recovery_target_timeline": "use restore", "recovery_target_action": "use restore",
	"recovery_target_inclusive": "use restore", "recovery_end_command": "use restore", "archive_cleanup_command": "the host keeps the archive",
	"dynamic_shared_memory_type": "a killed server must leave nothing behind", "log_destination": "the host keeps the log", "logging_collector": "the host keeps the log",
	"lc_messages": "the host reads messages", "password_encryption": "passwords are kept as SCRAM verifiers", "local_preload_libraries": "it loads code",
}

// defaults can be set otherwise by a request.
var defaults = map[string]string{
	"archive_timeout": "60s", "wal_keep_size": "256MB", "max_wal_senders": "10", "wal_receiver_timeout": "10s", "wal_sender_timeout": "10s",
	"wal_retrieve_retry_interval": "500ms", "timezone": "UTC", "log_timezone": "UTC", "log_line_prefix": "%m [%p] %q%u@%d %a ",
}

// fixed are managed settings that are the same everywhere.
var fixed = map[string]string{
	"wal_level": "replica", "hot_standby": "on", "wal_log_hints": "on", "full_page_writes": "on", "fsync": "on", "archive_mode": "on",
	"dynamic_shared_memory_type": "mmap", "lc_messages": "C", "password_encryption": "scram-sha-256", "recovery_target_timeline": "latest",
}

// configuration is the whole postgresql.conf of a server with this data.
func (s *server) configuration(data, archive string) (string, error) {
	settings := maps.Clone(defaults)
	maps.Copy(settings, s.state.Parameters)
	if err := s.raiseToFloors(data, settings); err != nil {
		return "", err
	}
	maps.Copy(settings, fixed)
	maps.Copy(settings, map[string]string{
		"listen_addresses": s.host.options.Address, "port": strconv.Itoa(s.state.Port),
		"unix_socket_directories": "@" + s.tag(), "cluster_name": s.tag(),
		"archive_command": archiveCommand(s.host.archive(archive)), "restore_command": restoreCommand(s.host.archive(archive)),
		"synchronous_standby_names": anyOf(s.state.Synchronous),
	})
	if s.state.Upstream != "" {
		settings["primary_conninfo"] = conninfo(s.state.Upstream, s.state.Replication.User, s.state.Replication.Password, s.name)
	}
	if r := s.state.Restoring; r != nil {
		settings["restore_command"] = restoreCommand(s.host.archive(s.state.RestoreArchive))
		maps.Copy(settings, r.settings())
	}
	var text strings.Builder
	text.WriteString("# Written by the host, and written again with every change.\n")
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s = %s\n", name, quoteSetting(settings[name]))
	}
	return text.String(), nil
}

// settings say how far recovery goes. Once there, the server takes writes.
func (r *Restore) settings() map[string]string {
	settings := map[string]string{"recovery_target_action": "promote"}
	switch {
	case r.Time != nil:
		settings["recovery_target_time"] = r.Time.UTC().Format("2006-01-02 15:04:05.999999-07:00")
	case r.LSN != "":
		settings["recovery_target_lsn"] = r.LSN
	case r.Point != "":
		settings["recovery_target_name"] = r.Point
	}
	return settings
}

// anyOf is a list of standbys any one of which a commit waits for.
func anyOf(standbys []string) string {
	if len(standbys) == 0 {
		return ""
	}
	quoted := make([]string, len(standbys))
	for i, s := range slices.Sorted(slices.Values(standbys)) {
		quoted[i] = `"` + s + `"` // names hold no quotes
	}
	return "ANY 1 (" + strings.Join(quoted, ", ") + ")"
}

// conninfo is how a standby, or a tool, reaches its upstream. Without a password the environment's is used.
func conninfo(upstream, user, password, name string) string {
	address, port, err := net.SplitHostPort(upstream)
	if err != nil {
		address, port = upstream, "5432" // requests are checked
	}
	text := fmt.Sprintf("host=%s port=%s user=%s application_name=%s sslmode=prefer connect_timeout=5 "+
		"keepalives_idle=5 keepalives_interval=2 keepalives_count=3 tcp_user_timeout=10000",
		quoteInfo(address), quoteInfo(port), quoteInfo(user), quoteInfo(name))
	if password != "" {
		text += " password=" + quoteInfo(password)
	}
	return text
}

// archiveCommand keeps a segment: whole or not at all, durably, and again only what it has already.
func archiveCommand(folder string) string {
	f := func(name string) string { return quoteShell(filepath.Join(folder, name)) }
	return percent(fmt.Sprintf("if test -f %[1]s; then cmp -s \x01p %[1]s; else cp \x01p %[2]s && sync %[2]s && mv %[2]s %[1]s && sync %[3]s; fi",
		f("\x01f"), f("\x01f.$$"), quoteShell(folder)))
}

// restoreCommand fetches a segment. That there is none is no complaint.
func restoreCommand(folder string) string {
	return percent(fmt.Sprintf("test -f %[1]s && cp %[1]s \x01p", quoteShell(filepath.Join(folder, "\x01f"))))
}

// percent doubles what PostgreSQL would take for a placeholder, and puts in the placeholders.
func percent(command string) string {
	return strings.ReplaceAll(strings.ReplaceAll(command, "%", "%%"), "\x01", "%")
}

// quoteShell keeps placeholders and $$ out of the quotes' way by not quoting them.
func quoteShell(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	return strings.ReplaceAll(quoted, ".$$", `.'$$'`)
}

func quoteSetting(value string) string {
	return "'" + strings.NewReplacer(`'`, `''`, `\`, `\\`).Replace(value) + "'"
}

func quoteInfo(value string) string {
	return "'" + strings.NewReplacer(`'`, `\'`, `\`, `\\`).Replace(value) + "'"
}

// configure writes all of a data folder's configuration.
func (s *server) configure(data string) error {
	archive, err := readArchive(data)
	if err != nil {
		return err
	}
	if err := s.host.makeArchive(archive); err != nil {
		return err
	}
	settings, err := s.configuration(data, archive)
	if err != nil {
		return err
	}
	var admission, names strings.Builder
	fmt.Fprintf(&admission, "local all %[1]s peer map=host\nlocal replication %[1]s peer map=host\nhost all %[1]s all reject\n", Role)
	for _, network := range append([]string{"127.0.0.1/32", "::1/128"}, s.host.options.Allow...) {
		fmt.Fprintf(&admission, "host all all %[1]s scram-sha-256\nhost replication all %[1]s scram-sha-256\n", network)
	}
	for _, name := range s.host.account.trusted {
		fmt.Fprintf(&names, "host %s %s\n", name, Role)
	}
	write := func(name, text string) error { return s.host.account.write(filepath.Join(data, name), []byte(text)) }
	return errors.Join(write("pg_hba.conf", admission.String()), write("pg_ident.conf", names.String()),
		write("postgresql.auto.conf", ""), write("postgresql.conf", settings))
}

// tryConfiguration has PostgreSQL read a configuration without using it: nil says that it would start with it.
func (s *server) tryConfiguration() error {
	archive, err := readArchive(s.data())
	if err != nil {
		return err
	}
	settings, err := s.configuration(s.data(), archive)
	if err != nil {
		return err
	}
	path := filepath.Join(s.folder, "candidate.conf")
	if err := s.host.account.write(path, []byte(settings)); err != nil {
		return err
	}
	ctx, cancel := s.host.bounded(10 * time.Second)
	defer cancel()
	_, err = s.tool(ctx, nil, "postgres", "-D", s.data(), "-c", "config_file="+path, "-C", "port")
	return errors.Join(err, remove(path))
}
