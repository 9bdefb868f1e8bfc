package bake

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// installed is one package of an image.
type installed struct{ name, version, arch string }

// packages are what the package manager of an image says that it holds.
type packages struct {
	kind         string // deb, rpm or apk, as package URLs call it
	distribution string // ID of os-release
	list         []installed
}

// Lines that stand before a list of packages.
const (
	distributionMark = "goldline: distribution "
	packagesMark     = "goldline: packages "
)

// packagesScript asks the package manager for what is installed. It is plain POSIX shell: a line for each package, its parts between
// tabs.
const packagesScript = `if [ -r /etc/os-release ]; then . /etc/os-release; fi
echo "` + distributionMark + `${ID:-linux}"
if command -v dpkg-query >/dev/null 2>&1; then
  echo "` + packagesMark + `deb"
  dpkg-query -W -f='${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n'
elif command -v rpm >/dev/null 2>&1; then
  echo "` + packagesMark + `rpm"
  rpm -qa --qf 'installed\t%{NAME}\t%{VERSION}-%{RELEASE}\t%{ARCH}\n'
elif command -v apk >/dev/null 2>&1; then
  echo "` + packagesMark + `apk"
  apk list --installed 2>/dev/null
fi
`

func readPackages(lines []string) packages {
	var p packages
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, distributionMark):
			p.distribution = strings.TrimPrefix(line, distributionMark)
		case strings.HasPrefix(line, packagesMark):
			p.kind = strings.TrimPrefix(line, packagesMark)
		case p.kind == "apk":
			// musl-1.2.4-r2 x86_64 {musl} (MIT) [installed]: the version is what follows
			// the last but one hyphen.
			fields := strings.Fields(line)
			if len(fields) < 2 {
				continue
			}
			parts := strings.Split(fields[0], "-")
			if n := len(parts); n > 2 {
				p.list = append(p.list, installed{strings.Join(parts[:n-2], "-"), strings.Join(parts[n-2:], "-"), fields[1]})
			}
		case p.kind != "":
			if parts := strings.Split(line, "\t"); len(parts) == 4 && parts[0] == "installed" {
				p.list = append(p.list, installed{parts[1], parts[2], parts[3]})
			}
		}
	}
	return p
}

// url is the package's own URL. https://github.com/package-url/purl-spec
func (p packages) url(i installed) string {
	return fmt.Sprintf("pkg:%s/%s/%s@%s?arch=%s", p.kind, url.PathEscape(p.distribution), url.PathEscape(i.name), url.QueryEscape(i.version), url.QueryEscape(i.arch))
}

// The part of SPDX 2.3 that a list of packages needs.
// https://spdx.github.io/spdx-spec/v2.3/
type (
	spdxDocument struct {
		SPDXVersion   string             `json:"spdxVersion"`
		DataLicense   string             `json:"dataLicense"`
		SPDXID        string             `json:"SPDXID"`
		Name          string             `json:"name"`
		Namespace     string             `json:"documentNamespace"`
		CreationInfo  spdxCreation       `json:"creationInfo"`
		Packages      []spdxPackage      `json:"packages"`
		Relationships []spdxRelationship `json:"relationships"`
	}
	spdxCreation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		Name             string    `json:"name"`
		SPDXID           string    `json:"SPDXID"`
		Version          string    `json:"versionInfo,omitempty"`
		Purpose          string    `json:"primaryPackagePurpose,omitempty"`
		DownloadLocation string    `json:"downloadLocation"`
		FilesAnalyzed    bool      `json:"filesAnalyzed"`
		LicenseConcluded string    `json:"licenseConcluded"`
		LicenseDeclared  string    `json:"licenseDeclared"`
		Copyright        string    `json:"copyrightText"`
		References       []spdxRef `json:"externalRefs,omitempty"`
	}
	spdxRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxRelationship struct {
		Element string `json:"spdxElementId"`
		Type    string `json:"relationshipType"`
		Related string `json:"relatedSpdxElement"`
	}
)

// unsaid is SPDX's word for what a document says nothing about.
const unsaid = "NOASSERTION"

func newSPDXPackage(id, name, version string) spdxPackage {
	return spdxPackage{Name: name, SPDXID: id, Version: version, DownloadLocation: unsaid, LicenseConcluded: unsaid, LicenseDeclared: unsaid, Copyright: unsaid}
}

// spdx is the list as an SPDX document about the AMI of a name; empty where
// nothing is known.
func (b *bake) spdx(amiName string) ([]byte, error) {
	if len(b.packages.list) == 0 {
		return nil, nil
	}
	const image = "SPDXRef-Image"
	whole := newSPDXPackage(image, amiName, b.version)
	whole.Purpose = "OPERATING-SYSTEM"
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte(b.options.Project+"/"+amiName+"/"+b.fingerprint+"/"+b.options.Run))
	d := spdxDocument{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", Name: amiName,
		Namespace:     toolURL + "/spdx/" + url.PathEscape(b.options.Project) + "/" + url.PathEscape(b.image.Name) + "/" + id.String(),
		CreationInfo:  spdxCreation{Created: b.started.Format("2006-01-02T15:04:05Z"), Creators: []string{"Tool: goldline-" + orText(b.options.ToolVersion, "unknown")}},
		Packages:      []spdxPackage{whole},
		Relationships: []spdxRelationship{{"SPDXRef-DOCUMENT", "DESCRIBES", image}},
	}
	for n, i := range b.packages.list {
		p := newSPDXPackage(fmt.Sprintf("SPDXRef-Package-%d", n+1), i.name, i.version)
		p.References = []spdxRef{{"PACKAGE-MANAGER", "purl", b.packages.url(i)}}
		d.Packages = append(d.Packages, p)
		d.Relationships = append(d.Relationships, spdxRelationship{image, "CONTAINS", p.SPDXID})
	}
	return json.MarshalIndent(d, "", " ")
}
