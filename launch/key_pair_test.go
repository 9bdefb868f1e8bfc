package launch

import "testing"

const (
	keyA = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJgDvqfhZ8mmJZMFCGWVkKPUlKAMOjOaVQPBw9JqkpqN"
	keyB = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDHpcfLqmYgLrKPmHyHU0MdPPGKMnnVvGXVyxXDdTVdY"
)

func keyFiles() map[string]string {
	return map[string]string{
		"topology/key_pairs/ops.yaml":  "public_key_file: ../../keys/ops.pub\n",
		"topology/key_pairs/more.yaml": "key_name: more\npublic_key: " + keyA + "\n",
		"keys/ops.pub":                 keyA + " someone@somewhere\n",
		"topology/instances/one.yaml":  "image: web\ninstance_type: t3.micro\nkey_pair: ops\n",
		"images/web.yaml":              "source_ami: ami-00000000000000001\nssh_username: admin\n",
	}
}

func TestKeyPair(t *testing.T) {
	files := keyFiles()
	delete(files, "topology/instances/one.yaml")
	live(t, files, []step{
		{"comment", func(s *site) { s.write(map[string]string{"keys/ops.pub": keyA + " another@place\n"}) }, nil},
		{"tags", func(s *site) {
			s.edit("topology/key_pairs/more.yaml", "key_name: more", "key_name: more\ntags: {cost: \"7\"}")
		},
			[]string{"change key_pair.more: tags"}},
		{"another key", func(s *site) { s.write(map[string]string{"keys/ops.pub": keyB}) },
			[]string{"replace key_pair.ops: the public key is another; instances that run keep the old one"}},
		{"another name", func(s *site) { s.edit("topology/key_pairs/more.yaml", "more", "less") },
			[]string{"replace key_pair.more: key_name: more -> less"}},
		{"one fewer", func(s *site) { s.write(map[string]string{"topology/key_pairs/more.yaml": ""}) },
			[]string{"delete key_pair.more: no definition has it"}},
	})
}

// TestKeyPairOfAnInstance: the name is known before the key pair is made, and
// another key under it replaces no instance.
func TestKeyPairOfAnInstance(t *testing.T) {
	s := newSite(t, keyFiles())
	s.promote("web", "1.0.0")
	s.launch()
	s.settled()
	s.write(map[string]string{"keys/ops.pub": keyB})
	if got, want := summaryOf(s.plan()), "replace key_pair.ops: the public key is another; instances that run keep the old one"; got != want {
		t.Errorf("the plan is\n%s\nwant\n%s", got, want)
	}
	s.launch()
	s.settled()
}

func TestKeyPairEveryCallFailsOnce(t *testing.T) {
	t.Parallel()
	files := keyFiles()
	delete(files, "topology/instances/one.yaml")
	disturb(t, files, func(s *site) { s.write(map[string]string{"keys/ops.pub": keyB}) }, 2)
}

func TestKeyPairMistakes(t *testing.T) {
	const file = "topology/key_pairs/ops.yaml"
	files := keyFiles()
	mistaken(t, files, file, "ops.pub", "opps.pub", "ops.yaml:1:18: cannot read ../../keys/opps.pub: no such file or directory (paths start in the definition's folder)")
	mistaken(t, files, file, "public_key_file: ../../keys/ops.pub", "public_key: nonsense", "ops.yaml:1:13: this is no public key")
	mistaken(t, files, file, "public_key_file: ../../keys/ops.pub", "key_name: ops", "a key pair needs one of public_key and public_key_file")
	mistaken(t, files, "keys/ops.pub", keyA, "-----BEGIN OPENSSH PRIVATE KEY-----\n", "ops.yaml:1:18: this is a private key")
	mistaken(t, files, "topology/instances/one.yaml", "key_pair: ops", "key_pair: opps", "no resource key_pair.opps (did you mean \"ops\"?)")
	mistaken(t, files, "topology/instances/one.yaml", "key_pair: ops", "key_pair: ops\nkey_name: more", "an instance takes one of key_name and key_pair")
}
