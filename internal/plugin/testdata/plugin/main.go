// A plugin as its authors write one, with Packer's own SDK. Its provisioners do
// what the tests look for.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/packer-plugin-sdk/common"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/plugin"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"
	"github.com/hashicorp/packer-plugin-sdk/version"
)

type options struct {
	common.PackerConfig `mapstructure:",squash"`

	Commands []string          `mapstructure:"commands"`
	Env      map[string]string `mapstructure:"env"`
	Upload   string            `mapstructure:"upload"`
	To       string            `mapstructure:"to"`
	Count    int               `mapstructure:"count"`
	Die      bool              `mapstructure:"die"`
	Hang     bool              `mapstructure:"hang"`

	ctx interpolate.Context
}

type remark struct{ options options }

func (p *remark) ConfigSpec() hcldec.ObjectSpec { return hcldec.ObjectSpec{} }

func (p *remark) Prepare(raws ...interface{}) error {
	err := config.Decode(&p.options, &config.DecodeOpts{PluginType: "remark", Interpolate: true, InterpolateContext: &p.options.ctx,
		InterpolateFilter: &interpolate.RenderFilter{Exclude: []string{"commands"}}}, raws...)
	if err == nil && p.options.Count < 0 {
		err = errors.New("count is below zero")
	}
	return err
}

func (p *remark) Provision(ctx context.Context, ui packersdk.Ui, comm packersdk.Communicator, data map[string]interface{}) error {
	p.options.ctx.Data = data
	ui.Say(fmt.Sprintf("build %s of %s, count %d, env %v", p.options.PackerBuildName, p.options.PackerBuilderType, p.options.Count, p.options.Env))
	if p.options.Die {
		fmt.Fprintln(os.Stderr, "a last word")
		os.Exit(3)
	}
	if p.options.Hang {
		ui.Say(fmt.Sprintf("hangs as %d", os.Getpid()))
		<-ctx.Done()
		return ctx.Err()
	}
	if p.options.Upload != "" {
		f, err := os.Open(p.options.Upload)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if err := comm.Upload(p.options.To, f, &info); err != nil {
			return err
		}
		var back bytes.Buffer
		if err := comm.Download(p.options.To, &back); err != nil {
			return err
		}
		ui.Message(fmt.Sprintf("%s holds %q", p.options.To, back.String()))
	}
	for _, command := range p.options.Commands {
		text, err := interpolate.Render(command, &p.options.ctx)
		if err != nil {
			return err
		}
		cmd := &packersdk.RemoteCmd{Command: text}
		if strings.HasPrefix(text, "cat ") {
			cmd.Stdin = strings.NewReader("from standard input\n")
		}
		if err := cmd.RunWithUi(ctx, comm, ui); err != nil {
			return err
		}
		if code := cmd.ExitStatus(); code != 0 {
			return fmt.Errorf("%q exited with %d", text, code)
		}
	}
	return nil
}

func main() {
	set := plugin.NewSet()
	set.SetVersion(version.NewPluginVersion("1.2.3", "", ""))
	set.RegisterProvisioner(plugin.DEFAULT_NAME, &remark{})
	set.RegisterProvisioner("twice", &remark{})
	if err := set.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
