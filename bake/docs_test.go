package bake

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/project"
)

// differs says where a key of Packer's means something else here.
var differs = map[string]string{
	"region":                  "must be the region of the environment that bakes, which the key does not choose",
	"ami_name":                "may be left out: PROJECT/IMAGE/VERSION-FINGERPRINT",
	"encrypt_boot":            "on by default, unless the AMI is to be shared and has no key of its own",
	"imds_support":            "v2.0 by default",
	"shutdown_behavior":       "terminate by default, so that a builder that nobody removes removes itself",
	"spot_price":              "auto falls back to an on-demand instance; any spot instance falls back to the other zones of the default VPC",
	"spot_instance_types":     "tried in their order; there is no allocation strategy",
	"boot_mode":               "the source image's; uefi-preferred can be narrowed to uefi, and anything else is refused, since EC2 makes it of prepared snapshots alone",
	"aws_polling":             "gives the deadline of waits; their pace is Goldline's own",
	"metadata_options":        "IMDSv2 alone and one hop by default; the service cannot be switched off",
	"communicator":            "ssh and winrm",
	"ssh_interface":           "the four addresses; session_manager is refused: ssh_bastion_host reaches builders without a public address",
	"ssh_bastion_host":        "the bastion's host key is checked: ssh_bastion_host_public_key or ~/.ssh/known_hosts",
	"temporary_key_pair_name": "no effect: the pair is shared by the bakes of a run, and named after it",
	"temporary_iam_instance_profile_policy_document": "what a killed bake leaves of it, the next bake with one or goldline sweep removes",
	"temporary_key_pair_type":                        "ed25519 by default; the pair is shared by the bakes of a run",
	"enable_t2_unlimited":                            "the same as enable_unlimited_credits",
	"snapshot_tags":                                  "beside the AMI's own tags, which the snapshots get too",
	"deregistration_protection":                      "also of the copies in ami_regions",
	"temporary_security_group_source_cidrs":          "by default the caller's own address, not everybody",
}

// ours are keys that Packer does not know.
var ours = []string{"version", "architectures", "tests", "bake_volume", "pre_snapshot", "source_image", "self_destruct", "ssh_host_public_key", "ssh_bastion_host_public_key", "variables", "sensitive_variables"}

type documented struct{ key, state, text string }

func keysOfRecipes() []documented {
	var rows []documented
	var walk func(reflect.Type)
	walk = func(of reflect.Type) {
		for i := range of.NumField() {
			f := of.Field(i)
			key, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			switch {
			case options == "inline":
				walk(f.Type)
			case key == "" || key == "-" || slices.Contains(ours, key):
			case differs[key] != "":
				rows = append(rows, documented{key, "differs", differs[key]})
			default:
				rows = append(rows, documented{key, "works", f.Tag.Get("doc")})
			}
		}
	}
	walk(reflect.TypeFor[project.Image]())
	access := project.AccessKeys()
	for _, key := range project.RefusedKeys() {
		if says := access[key]; says != "" {
			rows = append(rows, documented{key, "differs", "without a project alone, since environments say it there: " + says})
			continue
		}
		rows = append(rows, documented{key, "refused", ""})
	}
	slices.SortFunc(rows, func(a, b documented) int { return strings.Compare(a.key, b.key) })
	return rows
}

// TestPackerIsDocumented: docs/packer.md names every key, and says of each what
// the decoder does with it.
func TestPackerIsDocumented(t *testing.T) {
	var doc strings.Builder
	doc.WriteString(`# What becomes of a Packer template

Every key of an ` + "`amazon-ebs`" + ` builder and every option of the provisioners. *Works*:
as Packer has it. *Differs*: how stands beside it. *Refused*: ` + "`goldline validate`" + ` says
so, at the line, before anything is called; a value that asks for nothing (empty, false,
0), or for what holds anyway, passes. Key by key a test holds this page against the
decoder.

## amazon-ebs

| key | | |
|---|---|---|
`)
	rows := keysOfRecipes()
	for _, r := range rows {
		fmt.Fprintf(&doc, "| `%s` | %s | %s |\n", r.key, r.state, r.text)
	}
	doc.WriteString(hclWords)
	for _, kind := range Provisioners() {
		describeKind(&doc, "Provisioner", kind)
	}
	doc.WriteString("\nAll take `only`, `except`, `override`, `pause_before`, `max_retries`, `timeout` and\nGoldline's own `cache`.\n")
	doc.WriteString(windowsWords + pluginWords)
	for _, kind := range PostProcessors() {
		describeKind(&doc, "Post-processor", kind)
	}
	doc.WriteString(postWords)
	path := filepath.Join("..", "docs", "packer.md")
	if os.Getenv("GOLDEN") == "update" {
		if err := os.WriteFile(path, []byte(doc.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != doc.String() {
		t.Errorf("docs/packer.md is not up to date, %v (GOLDEN=update writes it)", err)
	}
	access := project.AccessKeys()
	for _, r := range rows {
		err := decode(t, r.key)
		named := err != nil && strings.Contains(err.Error(), `"`+r.key+`"`)
		unknown := named && (strings.Contains(err.Error(), "is not supported yet") || strings.Contains(err.Error(), "does not belong in a recipe") || strings.Contains(err.Error(), "unknown key"))
		if unknown != (r.state == "refused" || access[r.key] != "") {
			t.Errorf("%s is said to be %s, and the decoder says: %v", r.key, r.state, err)
		}
	}
}

// differentOptions are those of provisioners that mean something else here.
var differentOptions = map[string]string{
	"ansible.user":                "by default ssh_username, not who bakes",
	"ansible.use_sftp":            "without it files go through commands, which needs nothing on the builder",
	"ansible.skip_version_check":  "no effect: the version is not asked for",
	"breakpoint.disable":          "without a terminal the bake goes on, with a warning",
	"checksum.checksum_types":     "an AMI is no file: artifice before it names some",
	"manifest.output":             "a build that stands in the file already keeps one entry",
	"ansible.ssh_host_key_file":   "Ansible checks the proxy's key, and with use_proxy: false the builder's",
	"ansible.inventory_directory": "counts in the fingerprint, as the playbook's folder does",
}

func describeKind(doc *strings.Builder, what string, kind project.Kind) {
	fmt.Fprintf(doc, "\n## %s %s\n\n| option | | |\n|---|---|---|\n", what, kind.Name)
	of := reflect.TypeOf(kind.New()).Elem()
	for i := range of.NumField() {
		key := of.Field(i).Tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		state, says := "works", of.Field(i).Tag.Get("doc")
		if other := differentOptions[kind.Name+"."+key]; other != "" {
			state, says = "differs", other
		}
		fmt.Fprintf(doc, "| `%s` | %s | %s |\n", key, state, says)
	}
}

const pluginWords = `
## Provisioners of installed plugins

A provisioner of another type is an installed Packer plugin's: ` + "`puppet-masterless`" + ` is the
provisioner masterless of ` + "`packer-plugin-puppet`" + `. Plugins are looked for in
` + "`PACKER_PLUGIN_PATH`" + ` where that is set, otherwise in ` + "`~/.packer.d/plugins`" + ` and
` + "`~/.config/packer/plugins`" + `: a file of that name, or what ` + "`packer plugins install`" + ` has put
below ` + "`HOST/NAMESPACE/NAME`" + `, of which the newest counts that ` + "`required_plugins`" + ` allows and
that is still what was installed by its SHA-256. Nothing is downloaded.

| of plugins | | |
|---|---|---|
| provisioners, protocol 5 | works | the plugin checks its options when the recipe is checked, and ends with the bake, also a killed one |
| ` + "`PackerHTTPAddr`" + ` and its like | differs | are empty: amazon-ebs has no HTTP server |
| relative paths | differs | lead from the recipe's folder; files in it that an option names count in the fingerprint, as the plugin's version does |
| questions to the user | refused | nobody is asked |
| builders, data sources, post-processors | refused | |

What a plugin prints goes the way of all output: without the values of sensitive variables.
`

const windowsWords = `
## Windows

With ` + "`communicator: winrm`" + ` the builder is reached by WinRM, as Administrator with the
password that EC2 made, which the temporary key decrypts, or as whom the recipe says.
` + "`user_data`" + ` goes to the builder as it stands and has to let WinRM in. The provisioners
powershell, windows-shell, windows-restart, file, shell-local, breakpoint and those of
plugins run there.

| of Windows | | |
|---|---|---|
| ` + "`winrm_use_ssl`" + ` | works | the certificate is checked, unless winrm_insecure |
| a killed bake | differs | its builder does not shut itself down: the next bake or goldline sweep removes it |
| list of packages, taking out what was put in to bake | differs | not done there; sysprep is the recipe's to run |
| ` + "`tests`, `cache`, `shell`, `ansible`, `ansible-local`" + ` | refused | they need SSH |
| downloads of folders | refused | by the communicator |

None of this was tried on Windows itself: the tests speak WinRM, over HTTP and HTTPS, with a
server of their own that runs commands in a shell of Unix. Not tried at all are NTLM, the
scheduled task of elevated_user (Packer's own wrapper is used, and what goes into it is
checked), and real restarts. The local cloud knows a Windows image and its passwords, and
runs nothing on it: ` + "`--local-machine none`" + `.
`

const postWords = `
All take ` + "`only`, `except` and `override`" + `; lists within the list are chains. They run for a
build that was there before, too. The AMI always stays: ` + "`keep_input_artifact: false`" + ` is refused.
Any other post-processor is refused. When one fails, the AMI is there, and the next bake
runs them again.
`

const hclWords = `
Other builders are refused in a project. With --template they are passed over with a warning,
as long as there is an ` + "`amazon-ebs`" + ` and --only does not name them; steps of types that
Goldline does not know may be theirs by ` + "`only`" + `. A builder's name may hold user variables: the
image has it with a hyphen for every other character than letters, digits, - and _. In a project
the variables' defaults count there, with --template also --var and --var-file.

## Templates

` + "`goldline bake --template FILE`" + ` bakes a template without a project: a JSON file, a ` + "`*.pkr.hcl`" + `
file, or a folder of them. It calls AWS with the credentials and in the region that the
template's keys name, and for what they leave open as the AWS configuration says; with
` + "`--local`" + ` nobody's are needed. In a project, a JSON template, a ` + "`*.pkr.hcl`" + ` file and a folder of them
below images/ give recipes as they stand.

In a JSON template the lists of a builder may be one text with commas, such as what a variable
holds, and what ` + "`--var` and `--var-file`" + ` give may use ` + "`{{user}}` and `{{env}}`" + `, as a default may. A
variable that is neither declared nor given is refused in a project; with --template it is
empty, and a warning says where.

| of HCL2 | | |
|---|---|---|
| ` + "`packer`" + ` | differs | ` + "`required_plugins`" + ` chooses among installed plugins; a required version of Packer has no effect |
| ` + "`hcp_packer_registry`" + ` | differs | no effect; a note says so |
| ` + "`variable`, `variables`" + ` | works | with type, default, sensitive and validation; ` + "`PKR_VAR_`, `*.auto.pkrvars.hcl`, `--var-file`, `--var`" + ` |
| ` + "`local`, `locals`" + ` | works | |
| ` + "`data \"amazon-ami\"`" + ` | differs | what a source starts from, with its id, name, owner and creation_date; its region and credentials are the source's |
| ` + "`data \"amazon-parameterstore\"`" + ` | differs | as source_ami alone, where the bake looks it up as ` + "`resolve:ssm:NAME`" + `, which recipes may say themselves |
| ` + "`data \"null\"`" + ` | works | |
| ` + "`data \"http\"`" + ` | differs | asked once when the template is evaluated, where it is used: within 30 s, text in UTF-8 of at most 4 MiB; certificates are checked, and no redirection leads from https to http. Beside Packer's ` + "`body` and `request_headers`" + ` (those of the answer) it tells ` + "`response_body` and `response_headers`" + ` |
| other data sources | refused | give what they would look up with a variable |
| ` + "`source`" + ` | works | with dynamic blocks, and what a build's source block adds |
| ` + "`build`" + ` | works | no error-cleanup-provisioner |
| ` + "`timestamp()`, `uuidv4()`" + ` | works | and a build counts as unchanged where nothing else differs |
| ` + "`consul_key`, `vault`, `aws_secretsmanager`, `rsadecrypt`, `textencodebase64`, `base64gzip`" + ` | refused | the other functions work |
| ` + "`*.pkr.json`" + ` | refused | |
`

// decode reads a recipe with a key.
func decode(t *testing.T, key string) error {
	t.Helper()
	dir := folder(t, map[string]string{
		"goldline.yaml": "project: shop\nladder: [dev]\n", "environments/dev.yaml": "account: \"000000000000\"\nregion: eu-central-1\n",
		"images/x.yaml": key + ": something\n",
	})
	loaded, err := project.Load(dir, project.Vocabulary{Provisioners: Provisioners()})
	if err != nil {
		return err
	}
	_, err = loaded.Images("", nil)
	return err
}
