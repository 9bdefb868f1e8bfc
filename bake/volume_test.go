package bake

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/goldline-dev/goldline/internal/emulator"
	"github.com/goldline-dev/goldline/internal/fail"
	"github.com/goldline-dev/goldline/internal/project"
)

func TestBakeVolumeIsOfTheBakeAlone(t *testing.T) {
	for name, test := range map[string]struct {
		bakes  project.BakeVolume
		lasts  []project.BlockDevice
		during string
		after  string
	}{
		"as the source": {project.BakeVolume{IOPS: 4000, Throughput: 500}, nil, "gp3 with 4000 IOPS and 500 MiB/s", "gp3 with 3000 IOPS and 125 MiB/s"},
		"another type":  {project.BakeVolume{VolumeType: "io2", IOPS: 1000}, nil, "io2 with 1000 IOPS", "gp3 with 3000 IOPS and 125 MiB/s"},
		"as the recipe": {project.BakeVolume{Throughput: 250}, []project.BlockDevice{{DeviceName: "/dev/xvda", VolumeType: "gp2"}}, "gp3 with 3000 IOPS and 250 MiB/s", "gp2"},
		"as it is":      {project.BakeVolume{Throughput: 125}, nil, "gp3 with 3000 IOPS and 125 MiB/s", "gp3 with 3000 IOPS and 125 MiB/s"},
	} {
		t.Run(name, func(t *testing.T) {
			l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond}, nil)
			image := l.stubbed(stubSSH(t), "1")
			image.BakeVolume, image.LaunchBlockDeviceMappings = &test.bakes, test.lasts
			var during string
			options := l.options("r1")
			image.Provisioners = []*project.Provisioner{{Type: "shell-local", Options: asking{&ShellLocal{}, func(ctx context.Context, b *bake) error {
				out, err := options.Cloud.EC2.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{})
				if err == nil {
					v := out.Volumes[0]
					e := *performs(lastingVolume(image, b.source))
					e.VolumeType, e.Iops, e.Throughput = v.VolumeType, v.Iops, v.Throughput
					during = describeVolume(&e)
				}
				return err
			}}}}
			build, err := New(options).Bake(context.Background(), image)
			if err != nil {
				t.Fatalf("%v\n%s", err, l.said.String())
			}
			ami := imageIn(t, options.Cloud, build.AMI)
			after := ""
			for _, m := range ami.BlockDeviceMappings {
				if aws.ToString(m.DeviceName) == aws.ToString(ami.RootDeviceName) {
					after = describeVolume(m.Ebs)
				}
			}
			if during != test.during || after != test.after || strings.Contains(l.said.String(), "warning") {
				t.Errorf("%s during the bake, %s after; want %s, %s\n%s", during, after, test.during, test.after, l.said.String())
			}
		})
	}
}

// asking is a provisioner that calls a function.
type asking struct {
	*ShellLocal
	Ask func(context.Context, *bake) error `json:"-"`
}

func (a asking) provision(ctx context.Context, b *bake, _ *project.Provisioner) error {
	return a.Ask(ctx, b)
}

func TestBakeVolumeFits(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines}, nil)
	before := l.inventory()
	image := l.image("web")
	image.BakeVolume = &project.BakeVolume{IOPS: 16000}
	l.ResetCalls()
	_, err := New(l.options("r1")).Bake(context.Background(), image)
	if fail.ExitCode(err) != fail.CodeInput || !strings.Contains(err.Error(), "at most 4000 IOPS of gp3") || l.inventory() != before {
		t.Errorf("%v (%d)", err, fail.ExitCode(err))
	}
}

func TestPreSnapshot(t *testing.T) {
	l := openLocal(t, emulator.Options{Machine: emulator.NoMachines, Transition: time.Millisecond}, nil)
	image := l.stubbed(stubSSH(t), "1")
	image.PreSnapshot = true
	image.Provisioners = []*project.Provisioner{
		{Type: "shell-local", Options: &ShellLocal{Inline: []string{":"}}}, {Type: "shell-local", Options: &ShellLocal{Inline: []string{":"}}},
		{Type: "shell-local", Only: []string{"other"}, Options: &ShellLocal{Inline: []string{":"}}},
	}
	before := strings.Count(l.inventory(), " snapshot: ")
	l.ResetCalls()
	if _, err := New(l.options("r1")).Bake(context.Background(), image); err != nil {
		t.Fatalf("%v\n%s", err, l.said.String())
	}
	calls := strings.Join(l.actions(), " ")
	if got := strings.Count(l.inventory(), " snapshot: ") - before; got != 1 || strings.Count(calls, "CreateSnapshot") != 1 || strings.Index(calls, "CreateSnapshot") > strings.Index(calls, "StopInstances") {
		t.Errorf("%d snapshots by %s\n%s", got, calls, l.inventory())
	}
	t.Run("is no must", func(t *testing.T) {
		l.Inject(emulator.Fault{Service: "ec2", Action: "CreateSnapshot", Kind: emulator.Error, Code: "SnapshotCreationPerVolumeRateExceeded"})
		defer l.ClearFaults()
		image.Version = "2"
		if _, err := New(l.options("r2")).Bake(context.Background(), image); err != nil || !strings.Contains(l.said.String(), "no snapshot could be taken ahead") {
			t.Errorf("%v\n%s", err, l.said.String())
		}
	})
}

func TestCheckBakeVolume(t *testing.T) {
	for want, v := range map[string]project.BakeVolume{
		"io2 needs iops": {VolumeType: "io2"}, "throughput is of gp3": {VolumeType: "io1", IOPS: 500, Throughput: 200},
		"at least 3000": {IOPS: 500}, "needs at least 4000 iops": {Throughput: 1000},
	} {
		if err := checkBakeVolume(&v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", v, err, want)
		}
	}
	if err := checkBakeVolume(&project.BakeVolume{IOPS: 4000, Throughput: 1000}); err != nil {
		t.Error(err)
	}
}
