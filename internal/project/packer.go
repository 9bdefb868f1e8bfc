package project

import (
	"slices"

	"gopkg.in/yaml.v3"
)

// templateFile is the root of a Packer JSON template, for its keys.
type templateFile struct {
	Description string            `yaml:"description" doc:"What the template is for."`
	MinVersion  string            `yaml:"min_packer_version" doc:"Packer's own; it has no effect."`
	Variables   map[string]string `yaml:"variables" null:"true" doc:"User variables with their defaults; one without (null) must be given."`
	Sensitive   []string          `yaml:"sensitive-variables" doc:"Names of variables whose values never reach any output."`
}

// template gives the recipes of a Packer JSON template: one for each builder.
// The image of a single builder is named as the file, those of several as
// their builders.
func (p *Project) template(d *decoder, n *yaml.Node, entries []entry) []*recipe {
	p.templateKeys(d, entries)
	builders := follow(lookup(entries, "builders"))
	if builders.Kind != yaml.SequenceNode {
		d.mismatch(builders, "a list")
		return nil
	}
	if len(builders.Content) == 0 {
		p.problems.Addf(d.src.at(builders), "the template has no builder")
	}
	found := p.builders(d, builders, entries)
	names, images := map[string]string{}, map[string]bool{}
	for _, b := range found {
		if !b.wanted { // provisioners may still name it
			names[b.title] = b.title
		}
	}
	var recipes []*recipe
	for _, b := range found {
		if !b.wanted || p.refused(d, b) {
			continue
		}
		image, ok := p.imageName(d, b)
		if !ok {
			continue
		}
		if _, twice := names[b.title]; twice || images[image] {
			p.problems.AddHint(d.src.at(b.body), "give each builder a name of its own", "two builders are named %q", b.title)
			continue
		}
		images[image] = true
		if len(builders.Content) == 1 {
			image = d.src.base()
		}
		names[b.title] = image
		recipes = append(recipes, &recipe{
			name: image, buildName: b.title, src: d.src, body: b.body, builders: names,
			steps: lookup(entries, "provisioners"), vars: lookup(entries, "variables"),
			after:   lookup(entries, "post-processors"),
			secrets: lookup(entries, "sensitive-variables"), about: lookup(entries, "description"),
		})
	}
	return recipes
}

// templateKeys checks the keys at a template's root.
func (p *Project) templateKeys(d *decoder, entries []entry) {
	known := []string{"builders", "description", "min_packer_version", "post-processors", "provisioners", "sensitive-variables", "variables"}
	for _, e := range entries {
		key := follow(e.key).Value
		switch {
		case len(key) > 0 && key[0] == '_': // Packer's way to write a comment
		case !slices.Contains(known, key):
			d.unknownKey(e.key, known)
		}
	}
}

// packerKey explains a key that Packer knows and an image has not.
func (d *decoder) packerKey(e entry) bool {
	key := follow(e.key).Value
	credential := slices.Contains(credentialKeys, key)
	if !credential && !slices.Contains(unsupportedKeys, key) {
		return false
	}
	value, ok := d.substitute(follow(e.value))
	if !ok || asksForNothing(value) || slices.Contains(list(harmless[key]), value.Value) {
		return true
	}
	if credential {
		d.problems.AddHint(d.src.at(e.key), "credentials come from the AWS SDK's own chain: AWS_PROFILE, AWS_ACCESS_KEY_ID, a role", "%q does not belong in a recipe", key)
		return true
	}
	d.problems.AddHint(d.src.at(e.key), instead[key], "Packer's key %q is not supported yet", key)
	return true
}

// asksForNothing tells whether a value leaves things as they are without it.
func asksForNothing(n *yaml.Node) bool {
	switch n.Kind {
	case yaml.ScalarNode:
		return isNull(n) || n.Value == "" || n.Value == "false" || n.Value == "0"
	case yaml.SequenceNode, yaml.MappingNode:
		return len(n.Content) == 0
	}
	return false
}

// harmless are values of unsupported keys that are what holds anyway.
var harmless = map[string]string{
	"ami_virtualization_type":                   "hvm",
	"decode_authorization_messages":             "true",
	"no_ephemeral":                              "true",
	"skip_region_validation":                    "true",
	"skip_metadata_api_check":                   "true",
	"skip_credential_validation":                "true",
	"skip_profile_validation":                   "true",
	"ssh_clear_authorized_keys":                 "true",
	"temporary_security_group_source_public_ip": "true",
	"use_create_image":                          "true",
	"ssh_file_transfer_method":                  "scp,sftp", // files go their own way here
	"ssh_disable_agent_forwarding":              "true",
	"skip_ami_run_tags":                         "true",
	"skip_save_build_region":                    "true",
}

// noSessions says what to do without Session Manager.
const noSessions = "Session Manager is not supported: give ssh_bastion_host, or ssh_interface: private_ip where the builder's subnet can be reached"

// instead says what to do without a key of Packer's, or without a value of one.
var instead = map[string]string{
	"ssh_wait_timeout":              "its name is ssh_timeout now",
	"session_manager_port":          noSessions,
	"ssh_interface=session_manager": noSessions,
	"pause_before_ssm":              noSessions,
	"winrm_no_proxy":                "name the builder's address, or the subnet's block, in NO_PROXY of the environment that bakes",
}

// credentialKeys say who calls AWS, and where, which a recipe never does.
var credentialKeys = []string{
	"access_key", "secret_key", "token", "profile", "assume_role", "mfa_code", "shared_credentials_file", "vault_aws_engine",
	"custom_endpoint_ec2", "insecure_skip_tls_verify",
}

// unsupportedKeys are the keys of Packer's amazon-ebs builder, of version 1.3
// and of those before it, that an image has no counterpart for.
var unsupportedKeys = []string{
	"ami_product_codes", "ami_virtualization_type",
	"block_duration_minutes", "capacity_reservation_group_arn", "capacity_reservation_id", "capacity_reservation_preference",
	"decode_authorization_messages", "elastic_ip_allocation_id",
	"enable_nitro_enclave", "fast_launch", "fleet_tag", "fleet_tags", "license_specifications",
	"max_retries", "no_ephemeral", "pause_before_ssm", "placement", "run_tag", "run_volume_tag",
	"session_manager_port", "skip_ami_run_tags", "skip_credential_validation", "skip_metadata_api_check",
	"skip_profile_validation", "skip_region_validation", "skip_save_build_region",
	"snapshot_tag", "spot_allocation_strategy", "spot_price_auto_product", "spot_tag",
	"ssh_agent_auth", "ssh_bastion_agent_auth", "ssh_bastion_certificate_file",
	"ssh_bastion_interactive",
	"ssh_certificate_file", "ssh_ciphers", "ssh_clear_authorized_keys", "ssh_disable_agent_forwarding", "ssh_file_transfer_method",
	"ssh_handshake_attempts", "ssh_keep_alive_interval", "ssh_key_exchange_algorithms", "ssh_local_tunnels", "ssh_password", "ssh_private_ip",
	"ssh_private_key", "ssh_proxy_host", "ssh_proxy_password", "ssh_proxy_port", "ssh_proxy_username", "ssh_public_key", "ssh_read_write_timeout",
	"ssh_remote_tunnels", "ssh_wait_timeout", "tag", "temporary_key_pair_bits",
	"temporary_security_group_source_public_ip", "tpm_support", "uefi_data", "use_create_image",
	"winrm_no_proxy",
}

// RefusedKeys lists the keys of amazon-ebs that a recipe is refused for, unless
// their value asks for nothing or for what holds anyway.
func RefusedKeys() []string {
	keys := append(slices.Clone(unsupportedKeys), credentialKeys...)
	slices.Sort(keys)
	return keys
}
