package launch

import (
	"context"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/goldline-dev/goldline/internal/cloud"
)

// motoFront launches load balancers and their targets against moto: all that it
// knows of them.
func motoFront(t *testing.T, c *cloud.Cloud) {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), cloud: c}
	s.write(map[string]string{
		"goldline.yaml":         "project: shop\nladder: [dev]\n",
		"environments/dev.yaml": "account: \"123456789012\"\nregion: " + testRegion + "\n",
	})
	s.write(servedFiles())
	s.edit(listenerFile, "protocol: HTTPS\ncertificates: ["+certificateOf+"one, "+certificateOf+"two]\n", "protocol: HTTP\n") // moto looks certificates up
	first, second := motoImages(t, s.cloud)
	motoPointer(t, s.cloud, "web", first)
	motoPointer(t, s.cloud, "db", first)
	s.launch()
	s.settled()
	motoPointer(t, s.cloud, "web", second)
	s.edit(listenerFile, "weight: 9", "weight: 5")
	s.edit(ruleFile, "/older/*", "/ancient/*")
	s.launch()
	s.settled()
	if got := strings.Join(s.members("target_group.blue"), " "); got != "instance.web[0] instance.web[1]" {
		t.Errorf("target_group.blue holds %s", got)
	}
	s.destroy()
	w, err := newWorld(s.options())
	if err == nil {
		err = w.readInventory(context.Background())
	}
	if err != nil || len(w.inventory.all) > 0 {
		t.Errorf("after destroy: %d resources, %v", len(w.inventory.all), err)
	}
}

// motoImport: an account of an EC2 that is not ours, filled by hand, is adopted
// as it is.
func motoImport(t *testing.T, c *cloud.Cloud) {
	t.Helper()
	answer, err := http.Post(os.Getenv("AWS_ENDPOINT_URL")+"/moto-api/reset", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	s := &site{t: t, dir: t.TempDir(), cloud: c}
	s.write(map[string]string{
		"goldline.yaml":         "project: shop\nladder: [dev]\n",
		"environments/dev.yaml": "account: \"123456789012\"\nregion: " + testRegion + "\n",
	})
	byHand(t, s)
	found := s.importAll(ImportOptions{})
	s.keptAsItIs()
	if len(found.Definitions) < 50 {
		t.Errorf("%d definitions", len(found.Definitions))
	}
	if again := s.importAll(ImportOptions{}); len(again.Definitions) > 0 {
		t.Errorf("a second import finds %s", again.text())
	}
}
