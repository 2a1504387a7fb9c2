// The README's walk-through with the Go client of openapi-generator. The argument is the URL of a new system.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"walkthrough/orders"
)

// expect exits with an error unless the values are equal.
func expect(what string, expected, actual any) {
	if expected != actual {
		fmt.Fprintf(os.Stderr, "%s: expected %v, got %v\n", what, expected, actual)
		os.Exit(1)
	}
}

// must exits if err is set. Otherwise it returns the answer and the response.
func must[T any](answer T, response *http.Response, err error) (T, *http.Response) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err, response)
		os.Exit(1)
	}
	return answer, response
}

func main() {
	configuration := orders.NewConfiguration()
	configuration.Servers = orders.ServerConfigurations{{URL: os.Args[1]}}
	client, background := orders.NewAPIClient(configuration), context.Background()
	commands, queries := client.CommandsAPI, client.QueriesAPI

	const price = int64(5_000_000_000) // more than 32 bits
	items := []orders.NewItem{*orders.NewNewItem("BOOK-1", 2, price)}
	order := *orders.NewPlaceOrder(orders.EUR, items, "1 Main Street, Springfield")
	order.SetCustomerId("alice")
	placed, response := must(commands.PlaceOrder(background).PlaceOrder(order).IdempotencyKey("first").Execute())
	again, repeated := must(commands.PlaceOrder(background).PlaceOrder(order).IdempotencyKey("first").Execute())
	tag := response.Header.Get("ETag")
	expect("status", http.StatusCreated, response.StatusCode)
	expect("version", int64(1), placed.Version)
	expect("tag", `"1"`, tag)
	expect("id of the repeat", placed.OrderId, again.OrderId)
	expect("replayed", "true", repeated.Header.Get("Idempotency-Replayed"))
	id := placed.OrderId

	shipment := *orders.NewShipOrder("DHL", "JD0123456789")
	shipped, _ := must(commands.ShipOrder(background, id).ShipOrder(shipment).IfMatch(tag).Execute())
	expect("version after shipment", int64(2), shipped.Version)
	_, refused, err := commands.ShipOrder(background, id).ShipOrder(shipment).Execute()
	expect("second shipment", http.StatusConflict, refused.StatusCode)
	body := string(err.(*orders.GenericOpenAPIError).Body())
	expect("type of the problem", true, strings.Contains(body, `/already-shipped"`))

	shown, response := must(queries.GetOrder(background, id).MinVersion(2).Execute())
	expect("status", orders.SHIPPED, shown.Status)
	expect("total", 2*price, shown.Total)
	expect("tag of the view", `"2-s1"`, response.Header.Get("ETag"))
	page, _ := must(queries.ListOrders(background, "alice").MinVersion(id + ":2").Execute())
	expect("rows", 1, len(page.Orders))
	expect("row", id, page.Orders[0].OrderId)
	expect("last page", true, page.NextCursor.Get() == nil)

	history, _ := must(queries.GetOrderEvents(background, id).Execute())
	expect("events", 2, len(history.Events))
	expect("price", price, history.Events[0].OrderPlacedEvent.Data.Items[0].UnitPrice)
	expect("carrier", "DHL", history.Events[1].OrderShippedEvent.Data.Carrier)

	// The projector updates the dashboard asynchronously.
	dashboard, _ := must(queries.GetDashboard(background).Days(1).Execute())
	for attempt := 0; attempt < 100 && dashboard.Orders != 1; attempt++ {
		time.Sleep(100 * time.Millisecond)
		dashboard, _ = must(queries.GetDashboard(background).Days(1).Execute())
	}
	expect("revenue", "10000000000", dashboard.Revenue["EUR"])
}
