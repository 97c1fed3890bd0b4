package authority

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/setpointhq/setpoint/command"
)

// Request asks for a certificate. Another rotation of the same hostname is another certificate.
type Request struct {
	Hostname string `json:"hostname"`
	Rotation int    `json:"rotation"`
}

// Result names a certificate.
type Result struct {
	Serial   string    `json:"serial"`
	NotAfter time.Time `json:"notAfter"`
}

// Authority issues certificates. It implements command.Adapter.
type Authority struct {
	dir  string
	life time.Duration

	mu   sync.Mutex
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Open opens the authority in a directory, or founds it there. life is how long its certificates are good.
func Open(dir string, life time.Duration) (*Authority, error) {
	a := &Authority{dir: dir, life: life}
	if err := os.MkdirAll(filepath.Join(dir, "issued"), 0o700); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	if _, err := os.Stat(a.RootPath()); errors.Is(err, fs.ErrNotExist) {
		if err := a.found(); err != nil {
			return nil, fmt.Errorf("certificate authority: found it in %s: %w", dir, err)
		}
	}
	cert, key, err := readPair(a.RootPath(), filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	a.cert, a.key = cert, key
	return a, nil
}

// RootPath is the file with the root certificate, for clients that are to trust it.
func (a *Authority) RootPath() string { return filepath.Join(a.dir, "ca.crt") }

// found makes the root. The certificate is written last: without it there is no authority.
func (a *Authority) found() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Setpoint demo authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	return writePair(a.RootPath(), filepath.Join(a.dir, "ca.key"), der, key)
}

// Do issues a certificate, or removes those of a key that is not wanted any more.
func (a *Authority) Do(_ context.Context, call command.Call) command.Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	if call.Request == nil {
		if err := os.RemoveAll(a.folder(call.Key)); err != nil {
			return command.Result{Outcome: command.OutcomeFailed, Class: command.Retry, Message: err.Error()}
		}
		return command.Result{Outcome: command.OutcomeDone}
	}
	var r Request
	if err := json.Unmarshal(call.Request, &r); err != nil || r.Hostname == "" {
		return command.Result{Outcome: command.OutcomeRefused, Class: command.Terminal, Message: fmt.Sprintf("want {hostname, rotation}, got %s", call.Request)}
	}
	result, err := a.issue(call.Key, string(call.Token), r.Hostname)
	if err != nil {
		return command.Result{Outcome: command.OutcomeFailed, Class: command.Retry, Message: err.Error()}
	}
	body, err := json.Marshal(result)
	if err != nil {
		return command.Result{Outcome: command.OutcomeFailed, Class: command.Terminal, Message: err.Error()}
	}
	return command.Result{Outcome: command.OutcomeDone, Body: body}
}

// issue makes the certificate with a serial, unless it exists.
func (a *Authority) issue(key, serial, hostname string) (Result, error) {
	path := filepath.Join(a.folder(key), serial)
	cert, _, err := readPair(path+".crt", path+".key")
	if err == nil {
		return Result{Serial: a.serial(key, serial), NotAfter: cert.NotAfter.UTC()}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Result{}, err
	}
	number, err := hex.DecodeString(serial)
	if err != nil {
		return Result{}, fmt.Errorf("the token %q is no serial: %w", serial, err)
	}
	leaf, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Result{}, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(number), Subject: pkix.Name{CommonName: hostname}, DNSNames: []string{hostname},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(a.life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &leaf.PublicKey, a.key)
	if err != nil {
		return Result{}, err
	}
	if err := os.MkdirAll(a.folder(key), 0o700); err != nil {
		return Result{}, err
	}
	return Result{Serial: a.serial(key, serial), NotAfter: template.NotAfter}, writePair(path+".crt", path+".key", der, leaf)
}

// serial is what a proxy's configuration names a certificate by: where it is.
func (a *Authority) serial(key, serial string) string {
	return filepath.Base(a.folder(key)) + "/" + serial
}

// folder holds what was issued for a natural key.
func (a *Authority) folder(key string) string {
	return filepath.Join(a.dir, "issued", strings.ReplaceAll(strings.ReplaceAll(key, "_", "__"), "/", "_"))
}

// Find returns a certificate and its key by serial, in PEM.
func (a *Authority) Find(serial string) (certPEM, keyPEM []byte, err error) {
	if !filepath.IsLocal(serial) {
		return nil, nil, fmt.Errorf("certificate %q: not a serial", serial)
	}
	path := filepath.Join(a.dir, "issued", serial)
	if certPEM, err = os.ReadFile(path + ".crt"); err != nil {
		return nil, nil, fmt.Errorf("certificate %q: %w", serial, err)
	}
	if keyPEM, err = os.ReadFile(path + ".key"); err != nil {
		return nil, nil, fmt.Errorf("certificate %q: %w", serial, err)
	}
	return certPEM, keyPEM, nil
}

// Issued counts the certificates that exist.
func (a *Authority) Issued() (int, error) {
	found, err := filepath.Glob(filepath.Join(a.dir, "issued", "*", "*.crt"))
	return len(found), err
}

// writePair writes key and certificate, each whole or not at all, the certificate last.
func writePair(certPath, keyPath string, der []byte, key *ecdsa.PrivateKey) error {
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := writeFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})); err != nil {
		return err
	}
	return writeFile(certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func writeFile(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func readPair(certPath, keyPath string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certPEM, err := os.ReadFile(certPath)
	if err != nil {
		return nil, nil, err
	}
	keyPEM, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, nil, err
	}
	certBlock, _ := pem.Decode(certPEM)
	keyBlock, _ := pem.Decode(keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, fmt.Errorf("%s: not in PEM", certPath)
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", certPath, err)
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", keyPath, err)
	}
	return cert, key, nil
}
