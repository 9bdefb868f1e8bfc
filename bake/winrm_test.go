//go:build unix

package bake

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/project"
)

// winrmServer speaks as much of WinRM as its clients use. Files that are
// uploaded to c:\Windows\Temp lie in a folder; commands run by /bin/sh, with that
// folder in the place of Windows's.
type winrmServer struct {
	*httptest.Server
	dir    string
	wanted string                                               // the password that is taken; any where it is empty
	answer func(command string) (code int, out string, ok bool) // in place of /bin/sh; may be nil

	mu             sync.Mutex
	temp           map[string]string // uploads under way
	ran            []string          // commands but those of uploads
	done           map[string]string // what Receive says of a command, by its ID
	fails          int               // requests that are still to be refused
	user, password string            // of who logged in last
}

func startWinRM(t *testing.T, tls bool) *winrmServer {
	t.Helper()
	s := &winrmServer{dir: t.TempDir(), temp: map[string]string{}, done: map[string]string{}}
	if tls {
		s.Server = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	} else {
		s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	}
	t.Cleanup(s.Close)
	return s
}

// soap is what is read of a message.
type soap struct {
	Action  string `xml:"Header>Action"`
	Command string `xml:"Body>CommandLine>Command"`
	Asked   struct {
		ID string `xml:"CommandId,attr"`
	} `xml:"Body>Receive>DesiredStream"`
}

const (
	transfer     = "http://schemas.xmlsoap.org/ws/2004/09/transfer/"
	windowsShell = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
)

func (s *winrmServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, password, _ := r.BasicAuth()
	if s.fails > 0 || password == "" || s.wanted != "" && s.wanted != password {
		s.fails--
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var in soap
	if err := xml.NewDecoder(r.Body).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	body := ""
	switch in.Action {
	case transfer + "Create":
		s.user, s.password = user, password
		body = "<rsp:Shell><rsp:ShellId>s1</rsp:ShellId></rsp:Shell>"
	case windowsShell + "/Command":
		id := "c" + strconv.Itoa(len(s.done)+1)
		code, out := s.run(in.Command)
		s.done[id] = fmt.Sprintf(`<rsp:Stream Name="stdout" CommandId=%q>%s</rsp:Stream><rsp:CommandState CommandId=%q State="%s/CommandState/Done"><rsp:ExitCode>%d</rsp:ExitCode></rsp:CommandState>`,
			id, base64.StdEncoding.EncodeToString([]byte(out)), id, windowsShell, code)
		body = "<rsp:CommandResponse><rsp:CommandId>" + id + "</rsp:CommandId></rsp:CommandResponse>"
	case windowsShell + "/Receive":
		body = "<rsp:ReceiveResponse>" + s.done[in.Asked.ID] + "</rsp:ReceiveResponse>"
	}
	w.Header().Set("Content-Type", "application/soap+xml;charset=UTF-8")
	fmt.Fprintf(w, `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:rsp="%s"><s:Header><a:Action>%sResponse</a:Action></s:Header><s:Body>%s</s:Body></s:Envelope>`,
		windowsShell, in.Action, body)
}

var (
	chunk    = regexp.MustCompile(`^echo (\S+) >> "%TEMP%\\(\S+)"$`)
	restored = regexp.MustCompile(`GetFullPath\("\$env:TEMP\\([^"]+)"\)\s+\$dest_file_path = [^(]*\("([^"]*)"`)
)

// run carries out a command: the parts of an upload, and anything else.
func (s *winrmServer) run(command string) (int, string) {
	if m := chunk.FindStringSubmatch(command); m != nil {
		text, err := base64.StdEncoding.DecodeString(m[1])
		s.temp[m[2]] += string(text)
		return exitOf(err)
	}
	if encoded, ok := strings.CutPrefix(command, "powershell.exe -EncodedCommand "); ok {
		m := restored.FindStringSubmatch(fromUTF16(encoded))
		if m == nil {
			return 0, ""
		}
		return exitOf(os.WriteFile(filepath.Join(s.dir, filepath.Base(strings.ReplaceAll(m[2], `\`, "/"))), []byte(s.temp[m[1]]), 0o700))
	}
	s.ran = append(s.ran, command)
	if s.answer != nil {
		if code, out, ok := s.answer(command); ok {
			return code, out
		}
	}
	if strings.Contains(command, "Remove-Item") {
		return 0, ""
	}
	cmd := exec.Command("/bin/sh", "-c", strings.ReplaceAll(command, "c:/Windows/Temp", s.dir))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), string(out)
	}
	return 0, string(out)
}

func exitOf(err error) (int, string) {
	if err != nil {
		return 1, err.Error()
	}
	return 0, ""
}

func fromUTF16(encoded string) string {
	raw, _ := base64.StdEncoding.DecodeString(encoded)
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i]) | uint16(raw[2*i+1])<<8
	}
	return string(utf16.Decode(units))
}

// windowsImage is a recipe whose builder is the server.
func (l *local) windowsImage(s *winrmServer, provisioners ...any) *project.Image {
	i := l.image("win", provisioners...)
	i.SourceAMIFilter = &project.AMIFilter{Filters: map[string]string{"name": "Windows_Server-2022-English-Full-Base-*", "platform": "windows"}, Owners: []string{"amazon"}, MostRecent: true}
	i.SSHUsername, i.Communicator, i.InstanceType = "", "winrm", "t3.large"
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err == nil {
		i.WinRMHost = host
		i.WinRMPort, err = strconv.Atoi(port)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	i.WinRMUseSSL, i.WinRMInsecure = s.TLS != nil, s.TLS != nil
	return i
}

// changing are the names of temporary files.
var changing = regexp.MustCompile(`-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|-[0-9a-f]{8}\b`)

// sameAs compares what came of a test with a file.
func sameAs(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	got = changing.ReplaceAllString(got, "-TOKEN")
	if os.Getenv("GOLDEN") == "update" {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || string(want) != got {
		t.Errorf("%s: %v; got\n%s", path, err, got)
	}
}

// TestWindowsIsBaked bakes with the password that EC2 made over HTTP, and with
// the recipe's own over HTTPS.
func TestWindowsIsBaked(t *testing.T) {
	for _, tls := range []bool{false, true} {
		t.Run("TLS "+strconv.FormatBool(tls), func(t *testing.T) { windowsIsBaked(t, tls) })
	}
}

func windowsIsBaked(t *testing.T, tls bool) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond}, map[string]string{"files/motd": strings.Repeat("motd\n", 3000), "x.ps1": "echo of a script: $WHO\r\n"})
	s := startWinRM(t, tls)
	s.fails = 2 // it takes a while to listen to anybody
	asked := 0
	s.answer = func(command string) (int, string, bool) {
		if !strings.HasPrefix(command, "shutdown") && !strings.HasPrefix(command, "powershell") && !strings.HasPrefix(command, "pwsh") {
			return 0, "", false
		}
		if command != askForRestart {
			return 0, "", true
		}
		asked++
		if asked < 3 {
			return shutdownInProgress, "", true
		}
		return 0, "", true
	}
	image := l.windowsImage(s,
		&File{Source: "files/motd", Destination: "c:/Windows/Temp/motd"},
		&PowerShell{Inline: []string{"echo inline", "test $(wc -l <$(dirname $0)/motd) = 3000"}, ExecuteCommand: "sh {{.Path}}"},
		&PowerShell{Script: "x.ps1", EnvironmentVars: []string{`WHO=$me "and" you`}, ExecuteCommand: "WHO=me sh {{.Path}}; cat {{.Vars}}; exit 3", ValidExitCodes: []int{3}},
		&PowerShell{Inline: []string{"whoami"}, ElevatedUser: "Administrator", ElevatedPassword: "{{.WinRMPassword}}"},
		&PowerShell{Inline: []string{"whoami"}, UsePwsh: true, ExecutionPolicy: "none", DebugMode: 1, SkipClean: true},
		&WindowsShell{Inline: []string{"echo batch"}, Env: map[string]string{"A": "b"}},
		&WindowsRestart{CheckRegistry: true},
	)
	if tls {
		image.WinRMPassword = "pa$$'word\""
	}
	if l := CheckImage(image); len(l) > 0 {
		t.Fatal(l)
	}
	s.fails = 2
	clean := l.lasting()
	build, err := New(l.options("r1")).Bake(context.Background(), image)
	if err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	if match := regexp.MustCompile(`^Aa1\S{16}$`).MatchString(s.password); s.user != "Administrator" || tls == match || tls && s.password != image.WinRMPassword {
		t.Errorf("%s logged in with %s", s.user, s.password)
	}
	said := l.said.String()
	for _, want := range []string{"output inline", "output of a script: me", "output $env:PACKER_BUILDER_TYPE=\"amazon-ebs\"; $env:PACKER_BUILD_NAME=\"win\"; $env:WHO=\"`$me `\"and`\" you\"; ", "has restarted"} {
		if !strings.Contains(said, want) {
			t.Errorf("not said: %s", want)
		}
	}
	if strings.Contains(said, s.password) || t.Failed() || build.AMI == "" || l.lasting() != clean {
		t.Errorf("said\n%s\nleft\n%s", said, l.lasting())
	}
	sameAs(t, "windows-commands.golden", strings.Join(s.ran, "\n")+"\n")
	if tls {
		wrapper, err := filepath.Glob(filepath.Join(s.dir, "packer-elevated-shell-*.ps1"))
		if err != nil || len(wrapper) != 1 {
			t.Fatal(wrapper, err)
		}
		text, err := os.ReadFile(wrapper[0])
		if err != nil {
			t.Fatal(err)
		}
		// What of it is this bake's; the rest is the SDK's own.
		own := regexp.MustCompile(`(?m)^.*(<UserId>|<Arguments>|\$password = "|RegisterTaskDefinition).*$`).FindAllString(string(text), -1)
		sameAs(t, "windows-elevated.golden", strings.Join(own, "\n")+"\n")
	}
}

// TestWindowsGoesWrong: what is refused beforehand, and what ends a bake.
func TestWindowsGoesWrong(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond}, nil)
	s := startWinRM(t, false)
	image := l.windowsImage(s, &Shell{Inline: []string{"true"}}, &Ansible{})
	image.TemporaryKeyPairType, image.WinRMUsername, image.Tests = "ed25519", "me", &project.Tests{}
	found := CheckImage(image).Err().Error()
	for _, want := range []string{"provisioner shell needs SSH", "provisioner ansible needs SSH", "EC2 encrypts a Windows password for RSA keys alone", `winrm_username "me" needs winrm_password`, "tests look at an instance by SSH"} {
		if !strings.Contains(found, want) {
			t.Errorf("not said: %s, in\n%s", want, found)
		}
	}
	clean := l.lasting()
	for _, c := range []struct {
		change func(*project.Image)
		step   any
		answer func(string) (int, string, bool)
		want   string
	}{
		{func(i *project.Image) {
			i.WinRMPassword, i.WinRMTimeout = "of somebody else", project.Duration(200*time.Millisecond)
		}, nil, nil, "WinRM at " + s.Listener.Addr().String() + " does not answer as it must within 200ms"},
		{func(i *project.Image) {
			i.SourceAMIFilter.Filters, i.WindowsPasswordTimeout = map[string]string{"name": "al2023-*-x86_64"}, project.Duration(50*time.Millisecond)
		}, nil, nil, "has no password within 50ms"},
		{nil, &PowerShell{Inline: []string{"echo out; exit 4"}, ExecuteCommand: "sh {{.Path}}"}, nil, "exit status 4\n    | out"},
		{nil, &WindowsRestart{RestartCommand: "exit 5"}, nil, "the restart command's exit status is 5"},
		{nil, &WindowsRestart{RestartTimeout: project.Duration(100 * time.Millisecond)}, func(string) (int, string, bool) { return shutdownScheduled, "busy", true },
			"not restarted within its restart_timeout of 100ms: it is not known that the builder went down and came back"},
	} {
		image := l.windowsImage(s)
		if c.step != nil {
			image = l.windowsImage(s, c.step)
		}
		if c.change != nil {
			c.change(image)
		}
		s.answer = c.answer
		s.wanted = ""
		if image.WinRMPassword != "" {
			s.wanted = "another one"
		}
		if _, err := New(l.options("r1")).Bake(context.Background(), image); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
		if left := l.lasting(); left != clean {
			t.Errorf("%s: left\n%s", c.want, left)
		}
	}
}
