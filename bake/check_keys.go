package bake

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/goldline-dev/goldline/internal/diag"
	"github.com/goldline-dev/goldline/internal/project"
	"github.com/goldline-dev/goldline/internal/tags"
	"golang.org/x/crypto/ssh"
)

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

func checkPublication(i *project.Image, l *diag.List) {
	for key, ids := range map[string][]string{"ami_users": i.AMIUsers, "snapshot_users": i.SnapshotUsers} {
		for n, id := range ids {
			if !accountID.MatchString(id) {
				l.AddHint(i.At(fmt.Sprintf("%s[%d]", key, n)), "twelve digits; in YAML between quotes", "%s: %q is not the ID of an account", key, id)
			}
		}
	}
	if text := i.DeprecateAt; text != "" {
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			l.AddHint(i.At("deprecate_at"), "such as 2027-01-31T12:00:00Z", "deprecate_at: %q is not a time", text)
		}
	}
	for _, region := range tags.Keys(i.RegionKmsKeyIDs) {
		if !slices.Contains(i.AMIRegions, region) {
			l.Addf(i.At("region_kms_key_ids."+region), "region_kms_key_ids: %s is not in ami_regions", region)
		}
	}
	if !shares(i) || !encrypts(i) {
		return
	}
	if i.KmsKeyID == "" {
		l.AddHint(i.At("encrypt_boot"), "give kms_key_id, or encrypt_boot: false", "what AWS's default key encrypts cannot be shared")
	}
	for _, region := range i.AMIRegions {
		if i.RegionKmsKeyIDs[region] == "" {
			l.AddHint(i.At("ami_regions"), "give its key in region_kms_key_ids", "the copy in %s would be encrypted with AWS's default key, and cannot be shared", region)
		}
	}
}

func checkPlacing(i *project.Image, l *diag.List) {
	if p := i.SpotPrice; p != "" && p != "auto" {
		if price, err := strconv.ParseFloat(p, 64); err != nil || price < 0 {
			l.AddHint(i.At("spot_price"), "auto, or dollars an hour: 0.05", "spot_price: %q is not a price", p)
		}
	}
	if i.TemporaryProfile != nil && i.IAMInstanceProfile != "" {
		l.Addf(i.At("temporary_iam_instance_profile_policy_document"), "iam_instance_profile and temporary_iam_instance_profile_policy_document exclude each other")
	}
	if i.DisableStopInstance && i.ShutdownBehavior == "terminate" {
		l.AddHint(i.At("shutdown_behavior"), "stop", "disable_stop_instance needs a builder that is still there when it was shut down")
	}
	if wantsSpot(i) && (i.EnaSupport != nil || i.SriovSupport || i.DisableStopInstance) {
		l.Addf(i.At("spot_price"), "a spot instance cannot be stopped, which ena_support, sriov_support and disable_stop_instance need")
	}
	if o := i.MetadataOptions; o != nil && o.HTTPEndpoint == "disabled" {
		l.Addf(i.At("metadata_options.http_endpoint"), "without its metadata service a builder gets neither key nor user data")
	}
}

func checkBastion(i *project.Image, l *diag.List) {
	if i.BastionHost == "" {
		return
	}
	if i.BastionUsername == "" {
		l.Addf(i.At("ssh_bastion_host"), "ssh_bastion_host needs ssh_bastion_username")
	}
	if i.BastionPassword == "" && i.BastionKeyFile == "" {
		l.Addf(i.At("ssh_bastion_host"), "ssh_bastion_host needs ssh_bastion_private_key_file or ssh_bastion_password")
	}
	if i.BastionPublicKey != "" {
		if _, err := parsePublicKey(i.BastionPublicKey); err != nil {
			l.Addf(i.At("ssh_bastion_host_public_key"), "ssh_bastion_host_public_key: %v", err)
		}
	}
	if i.BastionKeyFile != "" && checkFile(i, l, "ssh_bastion_private_key_file", i.BastionKeyFile) {
		text, err := os.ReadFile(resolve(i, i.BastionKeyFile))
		if err == nil {
			_, err = ssh.ParsePrivateKey(text)
		}
		if err != nil {
			l.Addf(i.At("ssh_bastion_private_key_file"), "ssh_bastion_private_key_file: not a private key that can be read without a passphrase")
		}
	}
}
