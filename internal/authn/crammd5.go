package authn

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the mechanism that drivers and agents know
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"time"
)

// CRAMMD5 is the SASL mechanism by which drivers and agents say who they are:
// the client proves that it knows the secret by a digest over a challenge that
// is new each time (RFC 2195), which the messages carry as it is.
const CRAMMD5 = "CRAM-MD5"

// NewChallenge returns a challenge. It must differ from all others: nonce is
// from a generator that nobody can foresee.
func NewChallenge(nonce uint64, now time.Time, host string) []byte {
	return fmt.Appendf(nil, "<%d.%d@%s>", nonce, now.Unix(), host)
}

// Answer returns what a principal says to a challenge.
func Answer(principal, secret string, challenge []byte) []byte {
	return fmt.Appendf(nil, "%s %s", principal, digest(secret, challenge))
}

// VerifyAnswer returns the principal who gave an answer, and whether the digest
// is right. The principal is "" if the answer has another form.
func (c Credentials) VerifyAnswer(challenge, answer []byte) (principal string, ok bool) {
	i := bytes.LastIndexByte(answer, ' ')
	if i < 1 {
		return "", false
	}
	principal = string(answer[:i])
	secret, known := c[principal]
	want, got := sha256.Sum256(digest(secret, challenge)), sha256.Sum256(answer[i+1:])
	return principal, subtle.ConstantTimeCompare(want[:], got[:]) == 1 && known
}

func digest(secret string, challenge []byte) []byte {
	mac := hmac.New(md5.New, []byte(secret))
	mac.Write(challenge)
	return hex.AppendEncode(nil, mac.Sum(nil))
}
