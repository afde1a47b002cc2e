// Package password reads hashes of credentials, and compares credentials with them: bcrypt, and argon2id in the form of PHC.
package password

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Hash is what a file has of a credential. It comes from Parse.
type Hash string

// The most that a hash may cost. Above it a handful of clients would keep the gateway busy.
const (
	maxBcryptCost   = 15      // some 2 s
	maxArgonMemory  = 1 << 18 // KiB: 256 MiB
	maxArgonTime    = 16
	maxArgonThreads = 16

	bcryptLen = 60
	// maxBcryptSecret is how much of a credential bcrypt looks at. Whoever gives more would be let in by the beginning alone.
	maxBcryptSecret = 72
)

// Parse says whether it is a hash that can be used, and if not, what would be one.
func Parse(s string) (Hash, error) {
	switch {
	case strings.HasPrefix(s, "$2"):
		return Hash(s), checkBcrypt(s)
	case strings.HasPrefix(s, "$argon2id$"):
		_, err := parseArgon(s)
		return Hash(s), err
	default:
		return "", errors.New("it is neither bcrypt ($2a$…) nor argon2id ($argon2id$…): make it with `caddy hash-password --algorithm argon2id`")
	}
}

// Verify says whether it is the hash of the credential. It takes as long as it must.
func (h Hash) Verify(secret []byte) bool {
	if strings.HasPrefix(string(h), "$2") {
		whole := len(secret) <= maxBcryptSecret
		return bcrypt.CompareHashAndPassword([]byte(h), secret[:min(len(secret), maxBcryptSecret)]) == nil && whole
	}
	a, err := parseArgon(string(h))
	if err != nil {
		return false // it was parsed before
	}
	key := argon2.IDKey(secret, a.salt, a.time, a.memory, a.threads, uint32(len(a.key)))
	return subtle.ConstantTimeCompare(key, a.key) == 1
}

func checkBcrypt(s string) error {
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	cost, err := bcrypt.Cost([]byte(s))
	switch {
	case err != nil || len(s) != bcryptLen || strings.Trim(s[7:], alphabet) != "":
		return errors.New("its bcrypt hash is damaged: 60 characters such as $2a$10$… were expected")
	case cost > maxBcryptCost:
		return fmt.Errorf("its bcrypt cost is %d, each HELLO would take seconds: make it with a cost of 10, and no more than %d", cost, maxBcryptCost)
	}
	return nil
}

// argon is an argon2id hash.
type argon struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

// parseArgon reads $argon2id$v=19$m=47104,t=1,p=1$salt$key.
func parseArgon(s string) (a argon, err error) {
	damaged := errors.New("its argon2id hash is damaged: $argon2id$v=19$m=47104,t=1,p=1$salt$key was expected")
	parts := strings.Split(s, "$")
	if len(parts) != 6 {
		return a, damaged
	}
	if want := "v=" + strconv.Itoa(argon2.Version); parts[2] != want {
		return a, fmt.Errorf("its argon2id hash is of another version than %s: make it anew", want)
	}
	params := strings.Split(parts[3], ",")
	if len(params) != 3 {
		return a, damaged
	}
	for i, p := range []struct {
		name string
		max  uint64
		set  func(uint64)
	}{
		{"m", maxArgonMemory, func(v uint64) { a.memory = uint32(v) }},
		{"t", maxArgonTime, func(v uint64) { a.time = uint32(v) }},
		{"p", maxArgonThreads, func(v uint64) { a.threads = uint8(v) }},
	} {
		digits, ok := strings.CutPrefix(params[i], p.name+"=")
		v, err := strconv.ParseUint(digits, 10, 32)
		switch {
		case !ok || err != nil || v == 0:
			return a, damaged
		case v > p.max:
			return a, fmt.Errorf("its argon2id %s is %d, each HELLO would cost too much: make it with one of %d or less", p.name, v, p.max)
		}
		p.set(v)
	}
	for i, to := range []*[]byte{&a.salt, &a.key} {
		if *to, err = base64.RawStdEncoding.Strict().DecodeString(strings.TrimRight(parts[4+i], "=")); err != nil || len(*to) < 8 || len(*to) > 64 {
			return a, damaged
		}
	}
	if len(a.key) < 16 {
		return a, damaged
	}
	return a, nil
}
