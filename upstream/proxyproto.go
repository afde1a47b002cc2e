package upstream

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"net/netip"
)

// The PROXY protocol, version 2 (https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt): what the gateway says of a client before the first byte of a link.

// proxySignature begins each header.
const proxySignature = "\r\n\r\n\x00\r\nQUIT\n"

// Version and command; family and protocol.
const (
	proxyLocal = 0x20 // the gateway speaks for itself
	proxyProxy = 0x21 // for a client

	proxyUnspec = 0x00
	proxyTCP4   = 0x11
	proxyTCP6   = 0x21
)

// The fields behind the addresses.
const (
	tlvALPN      = 0x01
	tlvAuthority = 0x02 // the name that the client asked for by SNI
	tlvSSL       = 0x20
	tlvVersion   = 0x21 // these three within tlvSSL
	tlvCN        = 0x22
	tlvCipher    = 0x23
	tlvSubject   = 0xE0 // the first of those for own use: the whole subject of the client's certificate, as RFC 2253 writes it

	sslClient   = 0x01 // the client came over TLS,
	sslCertConn = 0x02 // showed a certificate on this connection,
	sslCertSess = 0x04 // or when the session began that this one resumes
)

// maxTLV bounds each text of a client's that is passed on. A longer one is left out: half a name would be another's.
const maxTLV = 1024

// appendProxy appends the header for a client; nil: the gateway speaks for itself.
func appendProxy(dst []byte, c *Client) []byte {
	dst = append(dst, proxySignature...)
	if c == nil {
		return append(dst, proxyLocal, proxyUnspec, 0, 0)
	}
	start := len(dst)
	dst = append(dst, proxyProxy, proxyUnspec, 0, 0)
	dst, family := appendAddrs(dst, c.Source, c.Local)
	dst[start+1] = family
	if c.TLS != nil {
		dst = appendTLS(dst, c.TLS)
	}
	binary.BigEndian.PutUint16(dst[start+2:], uint16(len(dst)-start-4)) // it fits: what is variable is bounded by maxTLV
	return dst
}

// appendAddrs appends both addresses. Where one is not of TCP, as over a unix socket, there are none: the receiver then takes those of the link.
func appendAddrs(dst []byte, source, local net.Addr) ([]byte, byte) {
	from, ok := source.(*net.TCPAddr)
	to, also := local.(*net.TCPAddr)
	if !ok || !also {
		return dst, proxyUnspec
	}
	a, b := from.AddrPort(), to.AddrPort()
	src, dest := a.Addr().Unmap(), b.Addr().Unmap()
	if !src.IsValid() || !dest.IsValid() {
		return dst, proxyUnspec
	}
	family := byte(proxyTCP4)
	if !src.Is4() || !dest.Is4() {
		family, src, dest = proxyTCP6, netip.AddrFrom16(src.As16()), netip.AddrFrom16(dest.As16())
	}
	dst = append(append(dst, src.AsSlice()...), dest.AsSlice()...)
	dst = binary.BigEndian.AppendUint16(dst, a.Port())
	return binary.BigEndian.AppendUint16(dst, b.Port()), family
}

// appendTLS appends what the handshake with the client came to.
func appendTLS(dst []byte, s *tls.ConnectionState) []byte {
	dst = appendTLV(dst, tlvALPN, s.NegotiatedProtocol)
	dst = appendTLV(dst, tlvAuthority, s.ServerName)

	start := len(dst)
	dst = append(dst, tlvSSL, 0, 0, sslClient, 0, 0, 0, 0)
	if len(s.PeerCertificates) > 0 {
		dst[start+3] |= sslCertSess
		if !s.DidResume {
			dst[start+3] |= sslCertConn
		}
	}
	if len(s.VerifiedChains) == 0 { // no certificate, or one that nobody has checked
		dst[start+7] = 1
	}
	dst = appendTLV(dst, tlvVersion, versionName(s.Version))
	if len(s.PeerCertificates) > 0 {
		dst = appendTLV(dst, tlvCN, s.PeerCertificates[0].Subject.CommonName)
	}
	dst = appendTLV(dst, tlvCipher, tls.CipherSuiteName(s.CipherSuite))
	binary.BigEndian.PutUint16(dst[start+1:], uint16(len(dst)-start-3))

	if len(s.PeerCertificates) > 0 {
		dst = appendTLV(dst, tlvSubject, s.PeerCertificates[0].Subject.String())
	}
	return dst
}

func appendTLV(dst []byte, kind byte, value string) []byte {
	if value == "" || len(value) > maxTLV {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(append(dst, kind), uint16(len(value)))
	return append(dst, value...)
}

// versionName is the version of TLS as OpenSSL writes it, and so HAProxy, whose field this is.
func versionName(v uint16) string {
	switch v {
	case tls.VersionTLS10:
		return "TLSv1"
	case tls.VersionTLS11:
		return "TLSv1.1"
	case tls.VersionTLS12:
		return "TLSv1.2"
	case tls.VersionTLS13:
		return "TLSv1.3"
	default:
		return ""
	}
}
